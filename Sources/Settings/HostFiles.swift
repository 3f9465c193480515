internal import Glibc

/// Why a file cannot be taken as settings, in words for a person.
struct UnreadableFile: Error, Hashable, Sendable {
  let reason: String
}

/// The few questions settings ask of the file system. None waits: no FIFO is opened for its writer, no file is large.
enum HostFiles {
  /// Far above any settings file a person writes.
  static let sizeLimit = 1 << 20

  /// All bytes of a regular file of at most ``sizeLimit``.
  static func read(_ path: String) throws(UnreadableFile) -> [UInt8] {
    guard !path.utf8.contains(0) else { throw UnreadableFile(reason: "a path has no NUL") }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { throw failure() }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure() }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw UnreadableFile(reason: "it is \(kindName(status.st_mode)), not a file")
    }
    guard status.st_size <= sizeLimit else {
      throw UnreadableFile(reason: "it has \(status.st_size) bytes; at most \(sizeLimit) are read")
    }
    return try readAll(descriptor)
  }

  private static func readAll(_ descriptor: Int32) throws(UnreadableFile) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure()
      }
      bytes += chunk[..<count]
      // The file grows while it is read, or is one of /proc that does not tell its size.
      guard bytes.count <= sizeLimit else {
        throw UnreadableFile(reason: "it has more than the \(sizeLimit) bytes that are read")
      }
    }
  }

  private static func failure() -> UnreadableFile {
    let number = errno
    let advice: String? =
      switch number {
      case ELOOP: "its symbolic links lead in a circle"
      case EACCES, EPERM: "uid \(geteuid()) may not read it"
      case ENOENT: "there is no such file"
      default: nil
      }
    return UnreadableFile(reason: [advice, errorText(number)].compactMap { $0 }.joined(separator: ": "))
  }

  static func errorText(_ number: Int32) -> String { strerror(number).map { String(cString: $0) } ?? "errno \(number)" }

  private static func kindName(_ mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFDIR: "a directory"
    case S_IFIFO: "a FIFO"
    case S_IFSOCK: "a socket"
    case S_IFCHR, S_IFBLK: "a device"
    default: "something else"
    }
  }

  /// nil when `path` is a directory, else why not.
  static func whyNoDirectory(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return errorText(errno) }
    return status.st_mode & S_IFMT == S_IFDIR ? nil : "it is a file"
  }

  /// nil when `path` is a file somebody may execute, else why not.
  static func whyNoProgram(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return errorText(errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { return "it is \(kindName(status.st_mode)), not a program" }
    return status.st_mode & 0o111 != 0 ? nil : "it is not executable (chmod +x)"
  }
}

/// Users and groups of the host. Source: getpwnam_r(3), getgrnam_r(3).
enum Accounts {
  static func hasUser(_ name: String) -> Bool {
    found(name) { name, buffer, size in
      var entry = passwd()
      var result: UnsafeMutablePointer<passwd>?
      let code = getpwnam_r(name, &entry, buffer, size, &result)
      return (code, result != nil)
    }
  }

  static func hasGroup(_ name: String) -> Bool {
    found(name) { name, buffer, size in
      var entry = group()
      var result: UnsafeMutablePointer<group>?
      let code = getgrnam_r(name, &entry, buffer, size, &result)
      return (code, result != nil)
    }
  }

  private static func found(
    _ name: String, _ look: (String, UnsafeMutablePointer<CChar>, Int) -> (code: Int32, found: Bool)
  ) -> Bool {
    guard !name.isEmpty, !name.utf8.contains(0) else { return false }
    var size = 1 << 12
    while size <= 1 << 20 {
      let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: size)
      defer { buffer.deallocate() }
      let answer = look(name, buffer, size)
      // A group with many members needs a larger buffer.
      if answer.code != ERANGE { return answer.code == 0 && answer.found }
      size *= 4
    }
    return false
  }
}
