// Preloaded into mpirun where all ranks are on one node: what would listen on every network listens on the
// loopback.
//
// Open MPI's control channel binds to all addresses whatever its options say, and its peers prove nothing
// about themselves that others on a shared network could not. All of its peers are on this node.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

extern "C" int bind(int socket, const sockaddr* address, socklen_t length) noexcept {
  using Bind = int (*)(int, const sockaddr*, socklen_t);
  static const auto real_bind = reinterpret_cast<Bind>(dlsym(RTLD_NEXT, "bind"));
  if (address != nullptr && address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in copy{};
    std::memcpy(&copy, address, sizeof copy);
    if (copy.sin_addr.s_addr == htonl(INADDR_ANY)) copy.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return real_bind(socket, reinterpret_cast<const sockaddr*>(&copy), sizeof copy);
  }
  if (address != nullptr && address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 copy{};
    std::memcpy(&copy, address, sizeof copy);
    if (IN6_IS_ADDR_UNSPECIFIED(&copy.sin6_addr)) copy.sin6_addr = in6addr_loopback;
    return real_bind(socket, reinterpret_cast<const sockaddr*>(&copy), sizeof copy);
  }
  return real_bind(socket, address, length);
}
