import ArgumentParser
import ControlProtocol
import Glibc
import Settings
import Vocabulary

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Reads settings and prints what they mean, every default filled in, or everything that is wrong.",
    discussion: "Exit status 78 when something is wrong. Warnings name what weakens a promise.")

  @Argument(help: "The settings file, or the service whose /etc/baton/NAME.toml it is.")
  var file: String
  @Flag(help: "Print JSON, a stable contract, instead of text.") var json = false

  func run() throws {
    let isName = !file.contains("/") && !file.hasSuffix(".toml")
    let path = isName ? "/etc/baton/\(file).toml" : file
    switch SettingsReader.examine(file: path) {
    case .success(let read):
      if json {
        var members = JSON.Members()
        members.append("file", path.json)
        members.append("valid", true)
        members.append(
          "warnings", .array(read.warnings.map { Self.json($0.file, $0.line, $0.column, $0.message, nil) }))
        members.append("errors", .array([]))
        return Terminal.print(.object(members))
      }
      Terminal.print(ResolvedText.annotated(read))
      for warning in read.warnings { Terminal.say("\(warning)") }
    case .failure(let errors):
      if json {
        var members = JSON.Members()
        members.append("file", path.json)
        members.append("valid", false)
        members.append("warnings", .array([]))
        members.append(
          "errors", .array(errors.errors.map { Self.json($0.file, $0.line, $0.column, $0.message, $0.hint) }))
        Terminal.print(.object(members))
      } else {
        Terminal.say(errors.text)
      }
      throw ExitCode(SettingsErrors.exitCode)
    }
  }

  private static func json(_ file: String, _ line: Int, _ column: Int, _ message: String, _ hint: String?) -> JSON {
    var members = JSON.Members()
    members.append("file", file.json)
    members.append("line", line.json)
    members.append("column", column.json)
    members.append("message", message.json)
    members.append("hint", hint)
    return .object(members)
  }
}

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
    if path.hasPrefix("/etc/baton/") { mkdir("/etc/baton", 0o755) }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Failure(
        errno == EACCES ? .notAllowed : .failed, "cannot write \(path): \(String(cString: strerror(errno)))",
        holds: "nothing was changed", next: "--output FILE writes elsewhere, --output - prints it")
    }
    let bytes = Array(file.text.utf8)
    let count = write(descriptor, bytes, bytes.count)
    close(descriptor)
    guard count == bytes.count else {
      unlink(path)
      throw Failure(.failed, "cannot write \(path): the disk is full", holds: "nothing was changed")
    }
    Terminal.print("wrote \(path); baton check \(service) reads it, systemctl enable --now baton@\(service) starts it")
  }
}
