/* Looks names up with the C library's getaddrinfo, one after the other, and prints a line for each: the name and its
   addresses. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void print_address(const struct sockaddr *address) {
  char text[INET6_ADDRSTRLEN];
  const void *octets = address->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                                                     : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
  if (inet_ntop(address->sa_family, octets, text, sizeof text) != NULL) printf(" %s", text);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    struct addrinfo hints, *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    printf("%s", argv[i]);
    if (getaddrinfo(argv[i], NULL, &hints, &found) == 0) {
      for (struct addrinfo *entry = found; entry != NULL; entry = entry->ai_next) print_address(entry->ai_addr);
      freeaddrinfo(found);
    }
    printf("\n");
  }
  return 0;
}
