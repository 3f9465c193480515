import ControlClient
import ControlProtocol
import Deployment
import Glibc
import LinuxSystem
import Probing
import Settings
import Systemd
import Vocabulary

/// Looks at what runs, again and again. What cannot be seen is nil, never a guess.
struct BakeEyes {
  private let operation: Operation
  private let unit: ServiceUnit
  private let rounds: HealthRounds
  private let journal: UnitJournal
  /// The whole second in which it began.
  private let began: Instant
  private let hasSystemd: Bool
  private var firstRestarts: Int?
  private var firstInvocation: [UInt8]?
  private var asking: BakeHealth
  private var lastCPU: (usage: UInt64, at: Instant)?

  init(_ operation: Operation, _ unit: ServiceUnit) {
    self.operation = operation
    self.unit = unit
    rounds = HealthRounds(operation: operation, checks: operation.deploy.health.checks, whom: "clients")
    // As sd_booted(3) asks.
    hasSystemd = access("/run/systemd/system", F_OK) == 0
    journal = UnitJournal(operation, unit.name)
    began = .zero + .seconds(Instant.monotonicNow().nanoseconds / 1_000_000_000)
    var random = SystemRandomNumberGenerator()
    asking = BakeHealth(interval: operation.deploy.bake.interval, seed: random.next())
  }

  /// - Throws: only what a person asked for.
  mutating func look() throws(StepFailure) -> BakeLook {
    var look = BakeLook()
    let state = unitState()
    if unit.control == nil { see(state, &look) } else { seeSupervisor(&look) }
    look.errors = hasSystemd ? journal.errors(since: began) : 0
    if let cgroup = state?.cgroup, !cgroup.isEmpty {
      look.memory = ControlGroups.memory(of: cgroup) ?? look.memory
      look.cpu = cpu(cgroup)
    }
    look.health = try health()
    return look
  }

  private func unitState() -> UnitState? {
    guard hasSystemd else { return nil }
    return try? UnitState(of: unit.name, SystemBus(unit.bus, timeout: .seconds(5)))
  }

  private mutating func see(_ state: UnitState?, _ look: inout BakeLook) {
    guard let state else {
      look.state = "systemd does not answer"
      return
    }
    look.state = "\(unit.name) is \(state.text)"
    let isSame = firstInvocation.map { $0 == state.invocation } ?? true
    firstInvocation = firstInvocation ?? state.invocation
    look.runs = state.isUp
    // Started anew by somebody, or after a crash: the count of systemd begins again with a start by hand.
    let restarts = Int(state.restarts) - (firstRestarts ?? Int(state.restarts))
    firstRestarts = firstRestarts ?? Int(state.restarts)
    look.restarts = isSame ? max(0, restarts) : max(1, restarts)
    look.failedEngines = []
  }

  private func seeSupervisor(_ look: inout BakeLook) {
    let status: StatusReport
    do throws(ClientError) {
      status = try unit.status()
    } catch {
      look.state = error.what
      return
    }
    look.state = "release \(status.release?.text ?? "-") serves"
    look.runs = status.release == operation.facts.release && status.serving != nil
    let engines = status.engines
    look.failedEngines = engines.filter { $0.state == .failed }.map(\.name.rawValue)
    let workers = engines.flatMap(\.workers).filter { $0.generation == status.serving }
    // Its workers are as old as the generation: each restart is since its activation.
    look.restarts = workers.reduce(0) { $0 + $1.restarts }
    let memories = workers.compactMap(\.memory?.bytes)
    if memories.count == workers.count { look.memory = ByteCount(memories.reduce(0, +)) }
  }

  private mutating func cpu(_ cgroup: String) -> Share? {
    guard let usage = ControlGroups.cpuTime(of: cgroup) else { return nil }
    let now = Instant.monotonicNow()
    defer { lastCPU = (usage, now) }
    guard let lastCPU, now > lastCPU.at, usage >= lastCPU.usage else { return nil }
    let elapsed = max(1, (now - lastCPU.at).microseconds)
    return Share(clamping: UInt32(clamping: Int64(clamping: usage - lastCPU.usage) * 10_000 / elapsed))
  }

  private mutating func health() throws(StepFailure) -> BakeLook.Health? {
    guard !rounds.checks.isEmpty else { return .unasked }
    if let instead = asking.instead(at: .monotonicNow()) { return instead }
    let bad = try rounds.round()
    if bad?.isAborted == true { throw Operation.aborted }
    return asking.saw(bad.map { .bad($0.text) } ?? .good, at: .monotonicNow())
  }
}
