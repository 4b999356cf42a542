import java.net.InetAddress;
import java.net.UnknownHostException;

/** Looks names up with Java's resolver, one after the other, and prints a line for each: the name and its addresses. */
public class LookUp {
  public static void main(String[] names) {
    for (String name : names) {
      StringBuilder line = new StringBuilder(name);
      try {
        for (InetAddress address : InetAddress.getAllByName(name)) line.append(' ').append(address.getHostAddress());
      } catch (UnknownHostException unknown) {
        // The line has no address then.
      }
      System.out.println(line);
    }
  }
}
