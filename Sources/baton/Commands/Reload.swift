import ArgumentParser
import ControlProtocol
import Vocabulary

struct Reload: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Replaces the running generation by a new one, without refusing a connection, or says why not.",
    discussion: "Waits for the verdict. A new version that is no good leaves the old one serving: exit status 1.")

  @OptionGroup var service: NamedService
  @Option(help: "Run this release instead of the one that current names; a crash restarts the current one.")
  var release: String?
  @Flag(help: "Do not wait for the verdict; baton status shows it.") var noWait = false

  func run() throws {
    let request = Request.reload(wait: !noWait, release: release.map { ReleaseID($0) })
    try service.choice().act(request, json: service.json)
  }
}
