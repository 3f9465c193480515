import ArgumentParser
import ControlProtocol
import Glibc
import LinuxSystem
import Settings
import Vocabulary

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a commented starting file for a service.",
    discussion: "Nothing that exists is overwritten.")

  @Argument(help: "The service, or the file to write.") var name: String
  @Option(help: "Where the program lies.") var directory: String?
  @Option(help: "The port it answers on.") var port: UInt16 = 8000
  @Option(help: "As whom it runs; the directory's owner where it is left out.") var user: String?
  @Option(help: "The file to write; - prints it.") var output: String?
  @Argument(parsing: .postTerminator, help: "The program and its arguments, after --.") var command: [String] = []

  func run() throws {
    let isPath = name.contains("/") || name.hasSuffix(".toml")
    let stem = name.split(separator: "/").last.map { $0.hasSuffix(".toml") ? String($0.dropLast(5)) : String($0) }
    let service = try ServiceName(checking: isPath ? stem ?? "" : name)
    let directory = directory ?? "/opt/\(service)"
    let file = StartingFile(
      name: service.rawValue, directory: directory, command: command.isEmpty ? ["./main"] : command, port: port,
      user: user ?? StartingFile.suggestedUser(directory: directory))
    let path = output ?? (isPath ? name : "/etc/baton/\(service).toml")
    if path == "-" { return Terminal.print(file.text) }
    do throws(SystemError) {
      try Self.write(Array(file.text.utf8), to: path)
    } catch {
      throw Failure(
        error.errno == EACCES ? .notAllowed : .failed, "cannot \(error)", holds: "nothing was changed",
        next: "--output FILE writes elsewhere, --output - prints it")
    }
    Terminal.print(
      """
      wrote \(path)
      next:  edit it: what the program is, where it lies, as whom it runs
             baton check \(path == "/etc/baton/\(service).toml" ? service.rawValue : path)
             systemctl enable --now baton@\(service), or with [deploy]: baton deploy \(service)
      """)
  }

  /// Whole or not at all; never over something that is there.
  private static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
    if path.hasPrefix("/etc/baton/") { mkdir("/etc/baton", 0o755) }
    let file = try Descriptor.open(path, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
    let count = Glibc.write(file.raw, bytes, bytes.count)
    if count == bytes.count { return }
    let error = SystemError("write", path, errno: count < 0 ? errno : ENOSPC)
    unlink(path)
    throw error
  }
}
