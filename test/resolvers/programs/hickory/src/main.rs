//! Looks names up with hickory-resolver, one after the other, and prints a line for each: the name and its addresses.

use hickory_resolver::TokioResolver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = TokioResolver::builder_tokio()?; // reads /etc/resolv.conf
    builder.options_mut().ip_strategy = hickory_resolver::config::LookupIpStrategy::Ipv4AndIpv6;
    let resolver = builder.build();
    for name in std::env::args().skip(1) {
        print!("{name}");
        if let Ok(found) = resolver.lookup_ip(name).await {
            found.iter().for_each(|address| print!(" {address}"));
        }
        println!();
    }
    Ok(())
}
