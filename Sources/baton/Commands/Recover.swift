import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import JSON
import LinuxSystem
import Vocabulary

struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "Finishes or undoes what was cut off: by a kill, a crash, a power cut.",
    discussion: """
      Done by every deploy before it begins and, at the start of the host, by baton-recover.service before the units are \
      started. With nothing left over it does nothing.
      """)

  @OptionGroup var service: DeployedServiceOptions
  @Flag(help: "Every service with [deploy] in /etc/baton.") var all = false
  @Flag(help: "The host is starting: only what lies on the disk is put right.") var boot = false
  @Flag(help: "Also end a bake that was left for later.") var bake = false
  @Option(
    help: ArgumentHelp("Wait so long for another operation to end, such as 10m.", valueName: "duration"),
    transform: { try Duration(text: $0) })
  var wait: Duration?

  func validate() throws {
    if all && (service.name != nil || service.settings != nil) { throw ValidationError("--all names all of them") }
  }

  func run() throws {
    guard all else {
      return try RecoverRun(service: service.service(), moment: moment, wait: wait).run(json: service.json)
    }
    let services = ServiceChoice.configured.compactMap { try? DeployedService($0, settings: nil) }
    let rounds = services.map { service in
      // Each as its own deploy user, from which there is no way back to root; and none waits for another.
      var arguments = ["/proc/self/exe", "recover", service.name.rawValue]
      if boot { arguments.append("--boot") }
      if bake { arguments.append("--bake") }
      return arguments
    }
    let limit = boot ? Self.patienceAtBoot : nil
    var worst: Int32 = 0
    for (service, status) in zip(services, Program.runTogether(rounds, within: limit)) {
      if let status {
        worst = max(worst, status)
      } else {
        worst = max(worst, Int32(ExitStatus.needsPerson.code))
        Terminal.say(
          "baton: \(service.name): not put right within \(Self.patienceAtBoot.text), and given up for now; next: baton recover "
            + "\(service.name)")
      }
      if boot { goOnBaking(service) }
    }
    if worst != 0 { throw ExitCode(worst) }
  }

  /// The host goes on starting then: what `current` names is complete at every instant.
  private static let patienceAtBoot: Duration = .seconds(180)

  /// A bake that the host's end cut off goes on when the service runs: not waited for, it comes after us.
  private func goOnBaking(_ service: DeployedService) {
    let isBaking = DeployHistory.read(service.layout, limit: 100).operations.contains { $0.outcome == .baking }
    if isBaking { _ = Program.run(["systemctl", "start", "--no-block", "baton-bake@\(service.name).service"]) }
  }

  private var moment: Moment { boot ? .boot : bake ? .bake : .now }
}

struct RecoverRun {
  let service: DeployedService
  let moment: Moment
  let wait: Duration?

  func run(json: Bool) throws {
    // Without a trace of any operation there is nothing to become somebody else for.
    guard access(service.layout.deploys, F_OK) == 0 || errno == EACCES else { return tell([], json) }
    // An adoption is root's work, its end as well.
    if geteuid() == 0, AdoptRun.isHalfDone(service.layout) { try AdoptRun(service: service, isJSON: json).recover() }
    try service.becomeDeployUser(to: "recover")
    let effects = Effects(.act)
    // What was cut off is put right also where the secrets are gone.
    let secrets = (try? service.secrets()) ?? Secrets()
    let masker = service.masker(secrets)
    let display = PlainDisplay()
    let assembly = OperationAssembly(service: service, effects: effects, secrets: secrets)
    let recovery = Recover(service.layout, effects: effects) { (id, intent) throws(StepFailure) in
      let shown = DisplayAudience(json ? nil : display) { masker.mask($0) }
      let audience = Both(shown, OperationNewsLog(service.layout, id) { masker.mask($0) })
      return try assembly.makeAgain(id, intent, audience: audience, abort: nil)
    }
    let outcomes: [OperationOutcome]
    do throws(StepFailure) {
      outcomes = try recovery.run(moment, who: Person.name, patience: wait ?? .zero)
    } catch {
      throw Failure(
        error.kind == .busy ? .busy : .failed, error.what, holds: "nothing was changed", next: error.next)
    }
    for outcome in outcomes {
      OperationNewsLog(service.layout, outcome.operation) { masker.mask($0) }.end(OperationVerdict(outcome))
    }
    tell(outcomes, json)
    guard let stuck = outcomes.first(where: { $0.exitStatus == 2 }) else { return }
    var failure = Failure(
      .needsPerson, "operation \(stuck.operation) could not be brought to its end: \(stuck.what ?? "stuck")",
      holds: stuck.holds, next: stuck.next)
    failure.isPrinted = json
    throw failure
  }

  private func tell(_ outcomes: [OperationOutcome], _ json: Bool) {
    if json {
      var members: JSON.Members = ["service": service.name.json]
      members.append("operations", .array(outcomes.map { OperationVerdict($0).json }))
      return Terminal.print(.object(members))
    }
    if outcomes.isEmpty { return Terminal.print("\(service.name): nothing was left over") }
    for outcome in outcomes where outcome.exitStatus != 2 {
      Terminal.print("operation \(outcome.operation) is brought to its end: \(plain(outcome.holds))")
    }
  }
}

/// Shows what happens in this very process.
final class DisplayAudience: OperationAudience {
  private let display: (any OperationDisplay)?
  private var step: Step?

  private let mask: (String) -> String

  init(_ display: (any OperationDisplay)?, mask: @escaping (String) -> String) {
    self.display = display
    self.mask = mask
  }

  func masked(_ text: String) -> String { mask(text) }

  func note(_ text: String) { show(.note, text) }
  func warn(_ text: String) { show(.warning, text) }
  func output(_ line: String) { show(.output, line) }
  func progress(done: Int64, total: Int64?, unit: String) {}

  func announce(_ announcement: Announcement) {
    let news = OperationNews(announcement, at: 0)
    if news.phase == .began || news.phase == .undoing { step = news.step }
    var masked = news
    masked.text = news.text.map(mask)
    display?.show(masked)
  }

  private func show(_ kind: OperationNews.Kind, _ text: String) {
    display?.show(OperationNews(kind, at: 0, step: step, text: mask(text)))
  }
}
