import Glibc

@testable import LinuxSystem

/// A directory of its own below /tmp; gone with the last reference.
final class Scratch {
  let directory: String

  /// In memory where many syncs would be waited for and what they do to a disk is not the question.
  init(_ name: String = "deploy-tests", inMemory: Bool = false) {
    let parent = inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(parent)/\(name)-XXXXXX".utf8CString)
    directory = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
  }

  deinit { Self.remove(directory) }

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Makes the file and the directories above it.
  func write(_ name: String, _ text: String, mode: mode_t = 0o644) { write(name, Array(text.utf8), mode: mode) }

  func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o644) {
    make(name.split(separator: "/").dropLast().joined(separator: "/"))
    let descriptor = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { break }
      rest = rest.dropFirst(count)
    }
    fchmod(descriptor, mode)
    close(descriptor)
  }

  /// Makes a directory and those above it.
  func make(_ name: String) {
    var place = directory
    for part in name.split(separator: "/") {
      place += "/\(part)"
      mkdir(place, 0o755)
    }
  }

  /// nil where there is no such file.
  func read(_ name: String) -> String? {
    (try? readFile(path(name), limit: 1 << 26)).map { String(decoding: $0, as: UTF8.self) }
  }

  func exists(_ name: String) -> Bool {
    var status = stat()
    return lstat(path(name), &status) == 0
  }

  func names(in name: String = ".") -> [String] { ((try? directoryEntries(path(name))) ?? []).sorted() }

  static func remove(_ path: String) {
    chmod(path, 0o755)
    for name in (try? directoryEntries(path)) ?? [] {
      var status = stat()
      if lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
        remove("\(path)/\(name)")
      } else {
        unlink("\(path)/\(name)")
      }
    }
    rmdir(path)
  }
}
