import ControlProtocol
import Glibc
import LinuxSystem
import Settings
import Vocabulary

extension DeployedService {
  /// From here on this process is the deploy user, for good: everything it makes belongs to that user, and what it may
  /// do to units polkit says. Root becomes it; others are refused.
  func becomeDeployUser(to attempt: String) throws {
    guard let user = Users.user(named: deploy.user), let identity = Users.identity(user: deploy.user, group: nil) else {
      throw Failure(
        .settingsWrong, "[deploy] user of \(path) is \"\(deploy.user)\", and this host has no such user",
        holds: "nothing was begun",
        next: deploy.user == "baton-deploy"
          ? "systemd-sysusers makes it where baton is installed; user = \"NAME\" in [deploy] names another"
          : "useradd --system \(deploy.user), or name another in [deploy]")
    }
    if geteuid() != user.id {
      guard geteuid() == 0 else {
        let own = Users.name(of: geteuid()) ?? "uid \(geteuid())"
        throw Failure(
          .notAllowed, "deploys of \(name) are made as \(deploy.user), and you are \(own)", holds: "nothing was begun",
          next: "sudo -u \(deploy.user) baton \(attempt) \(mention)")
      }
      let groups = identity.groups
      guard setgroups(groups.count, groups) == 0, setgid(identity.group) == 0, setuid(identity.user) == 0,
        // Nothing left to go back to.
        identity.user == 0 || setuid(0) != 0
      else {
        let error = SystemError("become", deploy.user, errno: errno)
        throw Failure(.failed, "\(error)", holds: "nothing was begun")
      }
    }
    setenv("HOME", user.home, 1)
    setenv("USER", user.name, 1)
    setenv("LOGNAME", user.name, 1)
    umask(0o027)
  }
}

extension Users {
  /// nil for a number that no name has.
  static func name(of id: UInt32) -> String? {
    var entry = passwd()
    var result: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 1 << 14)
    guard getpwuid_r(id, &entry, &buffer, buffer.count, &result) == 0, result != nil else { return nil }
    return entry.pw_name.map { String(cString: $0) }
  }
}
