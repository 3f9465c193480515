import ArgumentParser
import Deployment
import DeploymentRuntime
import Vocabulary

struct Rollback: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Goes back to the last release that was proved, or to the one named, and proves it again.",
    discussion: """
      Its directory is used if it is unharmed, else its archive. What fails leaves the release that serves as it is. \
      The release that is left is marked bad.
      """)

  @OptionGroup var service: DeployedServiceOptions
  @Option(help: ArgumentHelp("The release; baton releases lists them.", valueName: "release")) var to: String?
  @Option(
    help: ArgumentHelp("An archive of backups/, or one elsewhere; baton backup list lists them.", valueName: "file"),
    completion: .file())
  var toBackup: String?
  @Option(
    help: ArgumentHelp("The release of this commit; where there is none, it is deployed.", valueName: "commit"))
  var toCommit: String?
  @Flag(help: "Go back although the database cannot be asked whether it fits the older release.")
  var withoutDatabase = false
  @OptionGroup var operation: OperationOptions

  func validate() throws {
    if [to, toBackup, toCommit].compactMap({ $0 }).count > 1 {
      throw ValidationError("say one of --to, --to-backup and --to-commit")
    }
  }

  func run() throws {
    let service = try service.service()
    var intent = Intent(operation: .new(), kind: .rollback)
    intent.noRollback = operation.noRollback
    intent.who = Person.name
    intent.target = to.map { ReleaseID($0) }
    var request = OperationRequest(intent: intent, service: service.name, settings: service.path)
    request.backup = try toBackup.map { $0.contains("/") ? try DeployedService.absolute($0) : $0 }
    request.forgoesDatabase = withoutDatabase
    if let toCommit { try choose(toCommit, service, &request) }
    try operation.run(request, service, json: self.service.json, attempt: "rollback")
  }

  /// A proven release of the commit, else a deploy of it.
  private func choose(_ commit: String, _ service: DeployedService, _ request: inout OperationRequest) throws {
    let isHash = (7...64).contains(commit.utf8.count) && commit.utf8.allSatisfy { $0.isHexadecimal }
    let releases = DeployHistory.read(service.layout).releases.filter {
      isHash && $0.verdict == .good && $0.commit?.hasPrefix(commit.lowercased()) ?? false
    }
    if let release = releases.first {
      request.intent.target = release.id
      return
    }
    Terminal.say("baton: no proven release of \(plain(commit)) is kept: it is deployed anew")
    var intent = Intent(operation: request.operation, kind: .deploy)
    intent.noRollback = request.intent.noRollback
    intent.who = request.intent.who
    request.intent = intent
    request.ref = commit
  }
}

extension UInt8 {
  fileprivate var isHexadecimal: Bool {
    switch self {
    case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
    default: false
    }
  }
}
