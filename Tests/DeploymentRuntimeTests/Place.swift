import Glibc
import LinuxSystem

@testable import DeploymentRuntime

/// A directory of one test, with the layout of a service; removed with this object.
final class Place {
  let directory: String
  let layout: Layout

  init() throws {
    var template = Array("/tmp/baton-deploy-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError("make a directory", "/tmp", errno: errno) }
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    layout = Layout(directory: directory)
    for path in [layout.releases, layout.deploys, layout.backups, layout.shared] { mkdir(path, 0o755) }
  }

  deinit { Self.remove(directory) }

  static func remove(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR {
      chmod(path, 0o700)
      for name in (try? directoryEntries(path)) ?? [] { remove("\(path)/\(name)") }
      rmdir(path)
    } else {
      unlink(path)
    }
  }

  func write(_ path: String, _ text: String) {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    _ = Glibc.write(file, text, text.utf8.count)
    close(file)
  }

  func read(_ path: String) -> String? { (try? readFile(path)).map { String(decoding: $0, as: UTF8.self) } }
  func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
  func inode(_ path: String) -> UInt64 {
    var status = stat()
    return lstat(path, &status) == 0 ? UInt64(status.st_ino) : 0
  }
}
