import ArgumentParser
import ControlProtocol
import Deployment
import DeploymentRuntime
import Glibc
import JSON
import Vocabulary

struct Preflight: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Looks whether a deploy could begin now, and says everything that would stop it. Changes nothing.",
    discussion: "Exit status 1 when something would stop it.")

  @OptionGroup var service: DeployedServiceOptions
  @Option(help: ArgumentHelp("A branch, tag or commit, instead of [deploy] ref.", valueName: "ref")) var ref: String?
  @Option(help: ArgumentHelp("The control socket of the supervisor, for one started by hand.", valueName: "path"))
  var control: String?

  func run() throws {
    let service = try service.service()
    try service.becomeDeployUser(to: "preflight")
    let intent = Intent(operation: .new(), kind: .deploy)
    var request = OperationRequest(intent: intent, service: service.name, settings: service.path)
    request.ref = ref
    request.control = try (control ?? Host.variable("BATON_CONTROL")).map { try DeployedService.absolute($0) }
    // A person who reads the list will confirm what is on it when it counts.
    request.isConfirmed = true
    let maker = OperationAssembly(service: service, effects: Effects(.plan), secrets: try service.secrets())
    let (assembly, step): (Assembly, PreflightStep)
    do throws(StepFailure) {
      assembly = try maker.make(request, audience: DisplayAudience(nil) { $0 }, abort: nil)
      step = maker.preflight(request)
    } catch {
      throw Failure(.failed, error.what, holds: "nothing was changed", next: error.next)
    }
    let findings = step.checks.map { ($0.name, $0.look(assembly.operation)) }
    let isReady = !findings.contains { if case .refusal = $0.1 { true } else { false } }
    if self.service.json { tell(findings, isReady) } else { show(findings) }
    if !isReady { throw ExitCode(Int32(ExitStatus.failed.code)) }
  }

  private func tell(_ findings: [(name: String, finding: PreflightStep.Finding)], _ isReady: Bool) {
    let list = findings.map { name, finding in
      var members: JSON.Members = ["check": .string(name)]
      switch finding {
      case .fine(let text), .weak(let text):
        members.append("state", .string(finding == .fine(text) ? "fine" : "weak"))
        members.append("what", text)
      case .refusal(let failure):
        members.append("state", .string("refused"))
        members.append("what", failure.what)
        members.append("next", failure.next)
      }
      return JSON.object(members)
    }
    Terminal.print(.object(["ready": .bool(isReady), "checks": .array(list)]))
  }

  private func show(_ findings: [(name: String, finding: PreflightStep.Finding)]) {
    for (name, finding) in findings {
      let (word, colour, text, next, said): (String, StyledLine.Colour, String, String?, [String]) =
        switch finding {
        case .fine(let text): ("fine", .green, text, nil, [])
        case .weak(let text): ("weak", .yellow, text, nil, [])
        case .refusal(let failure): ("refused", .red, failure.what, failure.next, failure.lines.suffix(3))
        }
      var line = StyledLine(word, colour)
      line.append(String(repeating: " ", count: 9 - word.count) + name)
      line.append(String(repeating: " ", count: max(2, 12 - name.count)) + plain(text))
      Terminal.print(line, indent: 21)
      for each in said { Terminal.print(StyledLine("                     | \(plain(each))"), indent: 23) }
      if let next { Terminal.print(StyledLine("         next        \(plain(next))"), indent: 21) }
    }
  }
}
