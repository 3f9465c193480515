import ArgumentParser
import ControlProtocol
import DeploymentRuntime
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// What baton-deploy@NAME.service runs.
struct RunOperation: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run-operation", abstract: "Does what a request says. baton-deploy@.service runs it.",
    shouldDisplay: false)

  @OptionGroup var service: DeployedServiceOptions
  @Option(help: ArgumentHelp("The operation; the first that waits.", valueName: "id")) var operation: String?

  func run() throws {
    signal(SIGPIPE, SIG_IGN)
    let service = try service.service()
    guard let user = Users.user(named: service.deploy.user), user.id == geteuid() else {
      throw Failure(
        .settingsWrong, "[deploy] user of \(service.path) is \"\(service.deploy.user)\", and this process is not",
        holds: "nothing was begun",
        next: "systemctl edit baton-deploy@\(service.name) and write [Service] User=\(service.deploy.user)")
    }
    umask(0o027)
    guard let id = operation.map({ OperationID($0) }) ?? OperationRequest.waiting(service.layout).first else {
      return Terminal.say("nothing waits to be done for \(service.name)")
    }
    throw ExitCode(OperationHost(service: service, id: id).run())
  }
}
