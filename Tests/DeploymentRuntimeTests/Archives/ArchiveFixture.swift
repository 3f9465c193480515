import Glibc
import LinuxSystem

@testable import DeploymentRuntime

/// A directory of its own; gone with the last reference.
final class ArchivePlace {
  let directory: String

  init(below parent: String = "/tmp") {
    var template = Array("\(parent)/archive-tests-XXXXXX".utf8CString)
    directory = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
  }

  deinit { Self.remove(directory) }

  private static func remove(_ path: String) {
    var facts = stat()
    if lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR {
      chmod(path, 0o700)
      for name in (try? directoryEntries(path)) ?? [] { remove("\(path)/\(name)") }
    }
    _ = Glibc.remove(path)
  }

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  @discardableResult
  func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o644) -> String {
    let path = path(name)
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    var rest = bytes[...]
    while !rest.isEmpty {
      rest = rest.dropFirst(rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) })
    }
    fchmod(descriptor, mode)
    close(descriptor)
    return path
  }

  @discardableResult
  func make(_ name: String, mode: mode_t = 0o755) -> String {
    mkdir(path(name), 0o755)
    chmod(path(name), mode)
    return path(name)
  }

  func read(_ name: String) -> String? {
    (try? readFile(path(name), limit: 1 << 28)).map { String(decoding: $0, as: UTF8.self) }
  }

  func mode(_ name: String) -> mode_t {
    var facts = stat()
    return lstat(path(name), &facts) == 0 ? facts.st_mode & 0o7777 : 0
  }

  func exists(_ name: String) -> Bool { access(path(name), F_OK) == 0 }
}

/// A tar archive, byte by byte, also one that no tar program would make. Source: tar(5).
struct TarBytes {
  private(set) var bytes: [UInt8] = []

  /// `type` as in the header: 0 file, 1 hard link, 2 symbolic link, 3 and 4 devices, 5 directory, 6 FIFO.
  mutating func add(
    _ name: String, type: Character = "0", _ data: [UInt8] = [], mode: Int = 0o644, target: String = "",
    size: Int? = nil
  ) {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, _ offset: Int) {
      for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
    }
    func octal(_ number: Int, _ digits: Int) -> String {
      let text = String(number, radix: 8)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    put(name, 0)
    put(octal(mode, 7), 100)
    put(octal(0, 7), 108)
    put(octal(0, 7), 116)
    let size = size ?? data.count
    put(octal(size, 11), 124)
    if size >= 1 << 33 {
      // GNU's and star's form for what octal digits cannot say.
      header[124] = 0x80
      for index in 0..<11 { header[135 - index] = index < 8 ? UInt8(truncatingIfNeeded: size >> (8 * index)) : 0 }
    }
    put(octal(1_700_000_000, 11), 136)
    put("        ", 148)
    put(String(type), 156)
    put(target, 157)
    put("ustar\u{0}00", 257)
    put(octal(header.reduce(0) { $0 + Int($1) }, 6) + "\u{0} ", 148)
    bytes += header
    bytes += data
    bytes += [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
  }

  /// With the mark that tells a whole archive from a cut one.
  var whole: [UInt8] { bytes + [UInt8](repeating: 0, count: 1_024) }
}

func text(_ bytes: String) -> [UInt8] { Array(bytes.utf8) }

/// What `body` ends with, where it must not succeed.
func refusal(_ body: () throws(ArchiveError) -> Void) -> ArchiveError? {
  do throws(ArchiveError) {
    try body()
    return nil
  } catch { return error }
}
