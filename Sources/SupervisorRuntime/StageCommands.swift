import LinuxSystem
import Settings
import Supervision
import Vocabulary

/// The commands that `[shutdown.database] run` and `[shutdown.redis] run` name, one at a time.
final class StageCommands {
  var done: (Stage) -> Void = { _ in }
  var report: (Happening) -> Void = { _ in }
  private let loop: EventLoop
  private let children: any ChildWatcher
  private var running: (stage: Stage, probe: CommandProbe)?

  /// A backstop: the core cuts a command at the end of its stage.
  private static let limit = Duration.seconds(3_600)

  init(loop: EventLoop, children: any ChildWatcher) {
    self.loop = loop
    self.children = children
  }

  func run(_ stage: Stage, _ command: [String], _ generation: ResolvedGeneration) {
    let probe = CommandProbe(loop: loop, children: children, generation.command(command), timeout: Self.limit) {
      [weak self] result in
      guard let self else { return }
      running = nil
      if case .failed(let why) = result {
        var happening = Happening(
          .stageCommandFailed, "shutdown: \(stage.text): \(command.joined(separator: " ")): \(why)")
        happening.to = stage.rawValue
        happening.reason = why
        report(happening)
      }
      done(stage)
    }
    running = (stage, probe)
    probe.start()
  }

  func cut(_ stage: Stage) {
    guard let running, running.stage == stage else { return }
    self.running = nil
    running.probe.cancel()
    report(Happening(.shutdownCut, "shutdown: \(stage.text): a command was killed because its time was up"))
  }
}
