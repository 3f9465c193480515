internal import Glibc
internal import LinuxSystem

/// Why a file cannot be taken as settings, in words for a person.
struct UnreadableFile: Error, Hashable, Sendable {
  let reason: String
  /// As ``SettingsError/isPassing``.
  var isPassing = false
}

/// The few questions settings ask of the file system. None waits: no FIFO is opened for its writer, no file is large.
enum HostFiles {
  /// Far above any settings file a person writes.
  static let sizeLimit = 1 << 20

  /// All bytes of a regular file of at most ``sizeLimit``.
  static func read(_ path: String) throws(UnreadableFile) -> [UInt8] {
    guard !path.utf8.contains(0) else { throw UnreadableFile(reason: "a path has no NUL") }
    do {
      // Not blocking: a FIFO without a writer is found out by its kind instead of being waited for.
      let file = try Descriptor.open(path, flags: O_RDONLY | O_NONBLOCK | O_NOCTTY)
      var status = stat()
      try retrying("look at", path) { fstat(file.raw, &status) }
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw UnreadableFile(reason: "it is \(kindName(status.st_mode)), not a file")
      }
      guard status.st_size <= sizeLimit else {
        throw UnreadableFile(reason: "it has \(status.st_size) bytes; at most \(sizeLimit) are read")
      }
      return try readAll(file, path, limit: sizeLimit)
    } catch let error as SystemError {
      throw UnreadableFile(reason: reason(error.errno), isPassing: error.isPassing)
    } catch let error as UnreadableFile {
      throw error
    } catch {
      throw UnreadableFile(reason: "\(error)")
    }
  }

  private static func reason(_ number: Int32) -> String {
    let advice: String? =
      switch number {
      case ELOOP: "its symbolic links lead in a circle"
      case EACCES, EPERM: "uid \(geteuid()) may not read it"
      case ENOENT: "there is no such file"
      // It grew while it was read.
      case EFBIG: "it has more than the \(sizeLimit) bytes that are read"
      default: nil
      }
    return [advice, errorText(number)].compactMap { $0 }.joined(separator: ": ")
  }

  static func errorText(_ number: Int32) -> String { "\(ErrorNumber.name(number)) \(ErrorNumber.text(number))" }

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
