import CLinux
import Glibc

/// The part of version 2's hierarchy that systemd gave us (`Delegate=yes`), divided: one cgroup for this process and what
/// it runs itself, one for each worker. Controllers work only in cgroups whose parent has no process of its own, hence
/// the first. systemd finds the main process wherever it is below the unit. Source: cgroups(7), "no internal processes".
struct DelegatedCgroup: Sendable {
  let path: String

  private static let own = "supervisor"

  /// nil where none is ours to divide.
  init?() {
    guard let mount = Cgroup.mount, let own = Cgroup.path(of: "self"), own != "/" else { return nil }
    var path = mount + own
    // Another image of this program, or another life of it in the same process, has moved us.
    if !Self.isDelegated(path), own.hasSuffix("/\(Self.own)") { path = String(path.dropLast(Self.own.utf8.count + 1)) }
    guard Self.isDelegated(path), access(path, W_OK) == 0 else { return nil }
    self.path = path
  }

  init(path: String) { self.path = path }

  private static func isDelegated(_ path: String) -> Bool {
    ["user.delegate", "trusted.delegate"].contains { (name: String) in cl_attribute(path, name) == 0x31 }
  }

  /// Moves this process into a cgroup of its own and gives the workers those controllers that cost little.
  func divide() {
    let own = "\(path)/\(Self.own)"
    guard mkdir(own, 0o755) == 0 || errno == EEXIST, Cgroup.write("\(getpid())", to: "\(own)/cgroup.procs") else {
      return
    }
    for controller in ["memory", "pids"] { _ = enable(controller) }
  }

  /// Whether workers made from now on have it.
  func enable(_ controller: String) -> Bool {
    Cgroup.write("+\(controller)", to: "\(path)/cgroup.subtree_control")
  }

  /// Cgroups of workers: their names end with three numbers.
  var workers: [Cgroup] {
    Cgroup.children(of: path).filter { name in
      let parts = name.split(separator: ".")
      return parts.count >= 4 && parts.suffix(3).allSatisfy { UInt64($0) != nil }
    }.map { Cgroup(existing: "\(path)/\($0)") }
  }
}
