package import Deployment
import LinuxSystem
import Settings
import Vocabulary

/// Watches the new release for a while under real clients. A breach is a failure, and with it the way back.
package struct BakeStep: OperationStep {
  private let unit: ServiceUnit

  package init(_ unit: ServiceUnit) { self.unit = unit }

  package func run(_ operation: Operation) throws(StepFailure) {
    let bake = operation.deploy.bake
    guard bake.duration > .zero else { return }
    guard operation.effects.mode == .act else {
      return operation.audience.note("watched under clients for \(bake.duration.text)")
    }
    let policy = BakePolicy(
      duration: bake.duration, interval: bake.interval, maxRestarts: bake.maxRestarts, maxErrors: bake.maxErrors,
      maxMemory: bake.maxMemory, maxCPU: bake.maxCPU, breaches: bake.breaches)
    let begun = Instant.monotonicNow()
    var watch = BakeWatch(policy, startedAt: begun)
    var eyes = BakeEyes(operation, unit)
    while true {
      let look = try eyes.look()
      let next = watch.saw(look, at: .monotonicNow())
      operation.audience.progress(
        done: min((Instant.monotonicNow() - begun).milliseconds, policy.duration.milliseconds),
        total: policy.duration.milliseconds, unit: "ms")
      switch next {
      case .look(let at): try operation.wait(until: at)
      case .passed:
        return operation.audience.note(
          "baked for \((Instant.monotonicNow() - begun).text): \(watch.looks) looks, all is well")
      case .breached(let reasons):
        throw StepFailure(
          .failed,
          "after \((Instant.monotonicNow() - begun).text) under clients: \(reasons.joined(separator: "; "))",
          next: "correct the release, or the limits in [bake]", lines: UnitJournal(operation, unit.name).lastLines())
      }
    }
  }

  package func undo(_: Operation) throws(StepFailure) {}
}
