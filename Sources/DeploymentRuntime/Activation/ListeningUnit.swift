import Glibc
import LinuxSystem
import Probing

/// Whose sockets listen on the ports that a health check asks on this host. The kernel says in which cgroup a socket was
/// made, to anyone. Source: sock_diag(7), INET_DIAG_CGROUP_ID.
enum ListeningUnit {
  /// `port 8000 is nginx.service's` where a port of `urls` belongs to another service than the one in `cgroup`; nil where
  /// it does not, or where nobody can tell: sockets that systemd made for a service are in no service's cgroup.
  static func stranger(_ urls: [String], besides cgroup: String) -> String? {
    guard cgroup.hasPrefix("/"), cgroup.utf8.count > 1, let root = ControlGroups.unified,
      access("\(root)\(cgroup)/cgroup.procs", F_OK) == 0
    else { return nil }
    var own: Set<UInt64>?
    for url in urls {
      guard let address = WebAddress(url), address.unixPath == nil, isHere(address.host) else { continue }
      let numbers = Set(((try? SocketDiagnosis.listeners(onPort: address.port)) ?? []).map(\.cgroup))
      guard !numbers.isEmpty, !numbers.contains(0) else { continue }
      if own == nil {
        own = Set(ControlGroups.tree("\(root)\(cgroup)").compactMap { ControlGroups.number(of: $0) })
      }
      guard let own, own.isDisjoint(with: numbers), let name = service(numbers, root) else { continue }
      return "port \(address.port) is \(name)'s"
    }
    return nil
  }

  /// Whether sockets of the cgroup listen on all ports of this host that are in `urls`. False where there is none, or where
  /// nobody can tell.
  static func isListening(_ urls: [String], in cgroup: String) -> Bool {
    guard cgroup.hasPrefix("/"), cgroup.utf8.count > 1, let root = ControlGroups.unified else { return false }
    let ports = Set(urls.compactMap { WebAddress($0) }.filter { $0.unixPath == nil && isHere($0.host) }.map(\.port))
    guard !ports.isEmpty else { return false }
    let own = Set(ControlGroups.tree("\(root)\(cgroup)").compactMap { ControlGroups.number(of: $0) })
    return ports.allSatisfy { port in
      ((try? SocketDiagnosis.listeners(onPort: port)) ?? []).contains { own.contains($0.cgroup) }
    }
  }

  private static func isHere(_ host: String) -> Bool {
    host == "localhost" || host.hasPrefix("127.") || host == "::1" || host == "0.0.0.0"
  }

  /// The service one of these cgroups is, or is below.
  private static func service(_ numbers: Set<UInt64>, _ root: String) -> String? {
    for directory in ControlGroups.tree(root) {
      guard let number = ControlGroups.number(of: directory), numbers.contains(number) else { continue }
      let parts = directory.split(separator: "/").map(String.init)
      if let name = parts.last(where: { $0.hasSuffix(".service") || $0.hasSuffix(".scope") }), name != "init.scope" {
        return name
      }
    }
    return nil
  }
}
