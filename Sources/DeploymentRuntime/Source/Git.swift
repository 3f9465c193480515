import Deployment
import LinuxSystem
import Settings
import Vocabulary

/// Git, run with nothing of its surroundings but the deploy user's own configuration: no prompts, no hooks, no
/// `ext::` transports, no automatic maintenance, and the same bytes in every work tree whatever that user prefers.
struct Git {
  let operation: Operation
  /// A bare repository; nil for commands that need none.
  let directory: String?

  init(_ operation: Operation, directory: String? = nil) {
    self.operation = operation
    self.directory = directory
  }

  private static let configuration = [
    ("core.hooksPath", "/dev/null"), ("core.attributesFile", "/dev/null"), ("core.autocrlf", "false"),
    ("core.eol", "lf"), ("core.symlinks", "true"), ("core.fileMode", "true"), ("core.fsmonitor", "false"),
    ("gc.auto", "0"), ("maintenance.auto", "false"), ("advice.detachedHead", "false"),
    ("http.lowSpeedLimit", "1000"), ("http.lowSpeedTime", "60"), ("checkout.workers", "0"),
    ("checkout.thresholdForParallelism", "100"),
  ]

  /// A command to be run, its output as lines. `subject` says more than the command line where that is long.
  func command(_ arguments: [String], with added: [String: String] = [:], subject: String? = nil) -> CommandRun {
    var environment = operation.plainEnvironment
    environment["GIT_TERMINAL_PROMPT"] = "0"
    environment["GIT_ALLOW_PROTOCOL"] = "file:git:http:https:ssh"
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    environment["SSH_ASKPASS_REQUIRE"] = "never"
    // Which key to use is a matter of the settings; the rest of the build's environment is not git's business.
    environment["GIT_SSH_COMMAND"] = operation.deploy.build.environment["GIT_SSH_COMMAND"]
    environment["GIT_CONFIG_GLOBAL"] = GitConfiguration.path(operation.layout)
    environment["GIT_CONFIG_COUNT"] = "\(Self.configuration.count)"
    for (index, (key, value)) in Self.configuration.enumerated() {
      environment["GIT_CONFIG_KEY_\(index)"] = key
      environment["GIT_CONFIG_VALUE_\(index)"] = value
    }
    environment["GIT_DIR"] = directory
    environment.merge(added) { $1 }
    var command = CommandRun(
      ["git"] + arguments, in: "/", environment: environment,
      subject: subject ?? CommandRun.line(of: ["git"] + arguments))
    // A stalled HTTP transfer ends sooner (http.lowSpeedTime).
    command.timeout = operation.deploy.fetchTimeout
    return command
  }

  /// A question to a repository that is there: no effect, the answer is captured.
  func ask(_ arguments: [String], with added: [String: String] = [:], input: [UInt8]? = nil, limit: Int = 1 << 28)
    throws(StepFailure) -> CommandResult
  {
    var command = command(arguments, with: added)
    command.isReading = true
    command.output = .captured(limit: limit)
    if let input { command.input = .bytes(input) }
    return try command.run(operation)
  }

  /// As ``ask(_:with:input:limit:)``; any other status than 0 is a failure.
  func answer(_ arguments: [String], with added: [String: String] = [:], input: [UInt8]? = nil)
    throws(StepFailure) -> CommandResult
  {
    let result = try ask(arguments, with: added, input: input)
    try result.succeeded(next: "see whether git is installed and the repository is whole")
    return result
  }
}

/// The configuration file git finds instead of the user's: it takes that one in, and trusts the repositories the settings
/// name, whoever owns them (git refuses others' repositories since 2.35.2, and hears of exceptions only from a file).
enum GitConfiguration {
  static func path(_ layout: Layout) -> String { "\(layout.deploys)/gitconfig" }

  static func write(_ operation: Operation, trusting repository: String) throws(StepFailure) {
    var text = "# Written by baton.\n[include]\n\tpath = ~/.config/git/config\n\tpath = ~/.gitconfig\n"
    let local = repository.hasPrefix("file://") ? String(repository.dropFirst(7)) : repository
    text += "[safe]\n\tdirectory = \(quoted(operation.layout.deploys))/*\n"
    if local.hasPrefix("/") {
      for place in [local, "\(local)/.git"] { text += "\tdirectory = \(quoted(place))\n" }
    }
    let path = path(operation.layout)
    if (try? readFile(path)) == Array(text.utf8) { return }
    do throws(SystemError) {
      try DurableFiles(operation.effects, operation: operation.id).write(Array(text.utf8), to: path)
    } catch { throw StepFailure(.failed, error) }
  }

  /// The same for a question that comes before the file is written: git asks a repository of this host through a
  /// program, whose name may have options.
  static func trust(_ repository: String) -> [String] {
    let local = repository.hasPrefix("file://") ? String(repository.dropFirst(7)) : repository
    guard local.hasPrefix("/"), !local.contains("'") else { return [] }
    let places = [local, "\(local)/.git"].map { "-c safe.directory='\($0)'" }
    return ["--upload-pack=git \(places.joined(separator: " ")) upload-pack"]
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\n": quoted += "\\n"
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
