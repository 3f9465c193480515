import Glibc

/// Users and groups of the host. A look-up may wait for a directory service: not for the loop's thread.
/// Source: getpwnam_r(3), getgrnam_r(3), getgrouplist(3).
package enum Users {
  package struct User: Hashable, Sendable {
    package let name: String
    package let id: UInt32
    package let group: UInt32
    package let home: String
    package let shell: String

    package init(name: String, id: UInt32, group: UInt32, home: String, shell: String) {
      self.name = name
      self.id = id
      self.group = group
      self.home = home
      self.shell = shell
    }
  }

  /// nil: there is none of that name, or nobody could say.
  package static func user(named name: String) -> User? { try? find(user: name) }

  /// - Throws: what kept the host from saying.
  package static func find(user name: String) throws(SystemError) -> User? {
    try withBuffer(name) { buffer, size in
      var entry = passwd()
      var result: UnsafeMutablePointer<passwd>?
      let code = getpwnam_r(name, &entry, buffer, size, &result)
      guard code == 0, result != nil else { return (code, nil) }
      let text = { (pointer: UnsafeMutablePointer<CChar>?) in pointer.map { String(cString: $0) } ?? "" }
      return (
        0,
        User(name: name, id: entry.pw_uid, group: entry.pw_gid, home: text(entry.pw_dir), shell: text(entry.pw_shell))
      )
    }
  }

  package static func group(named name: String) -> UInt32? { try? find(group: name) }

  /// - Throws: as ``find(user:)``.
  package static func find(group name: String) throws(SystemError) -> UInt32? {
    try withBuffer(name) { buffer, size in
      var entry = Glibc.group()
      var result: UnsafeMutablePointer<Glibc.group>?
      let code = getgrnam_r(name, &entry, buffer, size, &result)
      return (code, code == 0 && result != nil ? entry.gr_gid : nil)
    }
  }

  package static func name(of id: UInt32) -> String? {
    try? withBuffer("\(id)") { buffer, size in
      var entry = passwd()
      var result: UnsafeMutablePointer<passwd>?
      let code = getpwuid_r(id, &entry, buffer, size, &result)
      return (code, result == nil ? nil : entry.pw_name.map { String(cString: $0) })
    }
  }

  /// What a process of this user runs with, all groups included. `group` replaces the user's own first group.
  package static func identity(user name: String, group: String?) -> Identity? {
    guard let user = user(named: name) else { return nil }
    var main = user.group
    if let group {
      guard let id = self.group(named: group) else { return nil }
      main = id
    }
    var count: Int32 = 64
    while count <= 65_536 {
      var groups = [gid_t](repeating: 0, count: Int(count))
      let capacity = count
      if getgrouplist(name, main, &groups, &count) >= 0 {
        return Identity(user: user.id, group: main, groups: Array(groups.prefix(Int(count))))
      }
      count = max(count, capacity * 4)
    }
    return nil
  }

  /// What those functions give where there is no such entry.
  private static let absences: Set<Int32> = [0, ENOENT, ESRCH, EBADF, EPERM]

  private static func withBuffer<Answer>(
    _ name: String, _ look: (UnsafeMutablePointer<CChar>, Int) -> (code: Int32, answer: Answer?)
  ) throws(SystemError) -> Answer? {
    var size = 1 << 12
    while size <= 1 << 20 {
      let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: size)
      defer { buffer.deallocate() }
      let found = look(buffer, size)
      // A group with many members needs a larger buffer.
      if found.code != ERANGE {
        guard found.answer != nil || absences.contains(found.code) else {
          throw SystemError("look up", name, errno: found.code)
        }
        return found.answer
      }
      size *= 4
    }
    return nil
  }
}
