import java.net.InetAddress;
import java.net.UnknownHostException;
import org.xbill.DNS.Address;

/** Looks names up with dnsjava, one after the other, and prints a line for each: the name and its addresses. */
public class DnsjavaLookUp {
  public static void main(String[] names) {
    for (String name : names) {
      StringBuilder line = new StringBuilder(name);
      try {
        for (InetAddress address : Address.getAllByName(name)) line.append(' ').append(address.getHostAddress());
      } catch (UnknownHostException unknown) {
        // The line has no address then.
      }
      System.out.println(line);
    }
    System.exit(0);
  }
}
