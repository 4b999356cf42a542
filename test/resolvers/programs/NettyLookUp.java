import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.resolver.dns.DnsNameResolver;
import io.netty.resolver.dns.DnsNameResolverBuilder;
import java.net.InetAddress;

/** Looks names up with Netty's resolver, one after the other, and prints a line for each: the name and its addresses. */
public class NettyLookUp {
  public static void main(String[] names) throws Exception {
    NioEventLoopGroup group = new NioEventLoopGroup(1);
    DnsNameResolver resolver =
        new DnsNameResolverBuilder(group.next())
            .channelType(NioDatagramChannel.class)
            .socketChannelType(NioSocketChannel.class)
            .queryTimeoutMillis(2000)
            .build();
    for (String name : names) {
      StringBuilder line = new StringBuilder(name);
      try {
        for (InetAddress address : resolver.resolveAll(name).get()) line.append(' ').append(address.getHostAddress());
      } catch (Exception unknown) {
        // The line has no address then.
      }
      System.out.println(line);
    }
    group.shutdownGracefully(0, 0, java.util.concurrent.TimeUnit.SECONDS).sync();
  }
}
