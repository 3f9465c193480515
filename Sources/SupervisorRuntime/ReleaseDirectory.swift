import Glibc
import Vocabulary

/// Why a release that was asked for by name cannot be run.
package struct ReleaseError: Error, Hashable, Sendable, CustomStringConvertible {
  package let description: String
}

/// Where releases lie.
enum ReleaseDirectory {
  /// The directory of a release that somebody named: directly below `releases/`, itself a directory and no link, and
  /// readable. Absolute, without symbolic links. Reads the disk.
  static func resolve(_ release: ReleaseID, in directory: String) throws(ReleaseError) -> String {
    let name = release.text
    let isPlain = name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
    guard isPlain, !name.isEmpty, name.utf8.count <= 255, !name.hasPrefix(".") else {
      throw ReleaseError(description: "\"\(name.filter { $0.isASCII && $0 != "\n" })\" is no name of a release")
    }
    guard let releases = realPath("\(directory)/releases") else {
      throw ReleaseError(description: "there is no directory \(directory)/releases: \(reason(errno))")
    }
    let path = "\(releases)/\(name)"
    let file = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else {
      let number = errno
      // A link says ENOTDIR here, as a file does. Source: open(2).
      let why = number == ENOENT ? "it is not there" : number == ENOTDIR ? "it is no directory" : reason(number)
      throw ReleaseError(description: "there is no release \(name) in \(releases): \(why)")
    }
    close(file)
    return path
  }

  /// What `current` names, or nil. Absolute, without symbolic links.
  static func current(in directory: String) -> String? { realPath("\(directory)/current") }

  static func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}
