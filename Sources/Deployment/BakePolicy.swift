package import Vocabulary

/// What a release may do in the time after its activation.
package struct BakePolicy: Hashable, Sendable {
  package var duration: Duration
  package var interval: Duration
  package var maxRestarts: Int
  package var maxErrors: Int
  package var maxMemory: ByteCount?
  package var maxCPU: Share?
  /// So many bad looks are a breach; a good one in between takes back one, so that something that comes and goes half of
  /// the time never passes for good.
  package var breaches: Int

  package init(
    duration: Duration, interval: Duration, maxRestarts: Int, maxErrors: Int, maxMemory: ByteCount? = nil,
    maxCPU: Share? = nil, breaches: Int
  ) {
    self.duration = duration
    self.interval = max(interval, .milliseconds(100))
    self.maxRestarts = maxRestarts
    self.maxErrors = maxErrors
    self.maxMemory = maxMemory
    self.maxCPU = maxCPU
    self.breaches = max(1, breaches)
  }
}

/// What one look at a running release found. nil is "no data", which is never good.
package struct BakeLook: Hashable, Sendable {
  /// Whether what was activated runs still: the unit is active, the release is the one that serves.
  package var runs: Bool?
  /// What runs instead, or in which state it is: for people.
  package var state: String?
  /// Since activation.
  package var restarts: Int?
  package var errors: Int?
  package var failedEngines: [String]?
  package var memory: ByteCount?
  /// Of one CPU, since the last look.
  package var cpu: Share?
  /// Why the health check failed; nil with `isHealthy`.
  package var health: Health?

  package enum Health: Hashable, Sendable {
    case good
    case bad(String)
    /// The settings name no check.
    case unasked
  }

  package init() {}
}

/// A bake under way. It is told of each look and says what comes next.
package struct BakeWatch: Hashable, Sendable {
  package enum Signal: String, Hashable, Sendable, CaseIterable, Comparable {
    case state, restarts, engines, errors, health, memory, cpu

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  }

  package enum Next: Hashable, Sendable {
    case look(at: Instant)
    case passed
    /// What was breached, in words.
    case breached([String])
  }

  package let policy: BakePolicy
  package let endsAt: Instant
  package private(set) var looks = 0
  /// Bad looks that no good one has taken back.
  package private(set) var bad: [Signal: Int] = [:]

  package init(_ policy: BakePolicy, startedAt now: Instant) {
    self.policy = policy
    endsAt = now + policy.duration
  }

  package mutating func saw(_ look: BakeLook, at now: Instant) -> Next {
    looks += 1
    let complaints = complaints(about: look)
    for signal in Signal.allCases {
      if complaints[signal] != nil {
        bad[signal, default: 0] += 1
      } else if let count = bad[signal] {
        bad[signal] = count > 1 ? count - 1 : nil
      }
    }
    // What is gone does not come back by itself, and restarts are only ever counted up.
    let breached = complaints.filter { signal, _ in
      isFinal(signal, look) || bad[signal, default: 0] >= policy.breaches
    }
    if !breached.isEmpty { return .breached(breached.sorted { $0.key < $1.key }.map(\.value)) }
    // A doubt at the end is cleared up first: each further look makes one more or one less of it.
    if now >= endsAt && bad.isEmpty { return .passed }
    return .look(at: now >= endsAt ? now + policy.interval : min(now + policy.interval, endsAt))
  }

  private func isFinal(_ signal: Signal, _ look: BakeLook) -> Bool {
    switch signal {
    case .state: look.runs == false
    case .restarts: look.restarts != nil
    case .errors: look.errors != nil
    case .engines: look.failedEngines != nil
    case .health, .memory, .cpu: false
    }
  }

  private func complaints(about look: BakeLook) -> [Signal: String] {
    var found: [Signal: String] = [:]
    switch look.runs {
    case true?: break
    case false?: found[.state] = "it runs no longer: \(look.state ?? "nobody says what runs instead")"
    case nil: found[.state] = "nobody says whether it runs" + (look.state.map { ": \($0)" } ?? "")
    }
    found[.restarts] = above(look.restarts, policy.maxRestarts, "restarts since activation")
    found[.errors] = above(look.errors, policy.maxErrors, "journal entries of priority error since activation")
    if let failed = look.failedEngines {
      if !failed.isEmpty { found[.engines] = "engines that were given up: \(failed.joined(separator: ", "))" }
    } else {
      found[.engines] = "nobody says how its engines are"
    }
    switch look.health {
    case .good?, .unasked?: break
    case .bad(let why)?: found[.health] = why
    case nil: found[.health] = "the health check gave no answer"
    }
    if let limit = policy.maxMemory {
      if let memory = look.memory {
        if memory > limit { found[.memory] = "memory \(memory), limit \(limit)" }
      } else {
        found[.memory] = "nobody says how much memory it takes"
      }
    }
    if let limit = policy.maxCPU {
      if let cpu = look.cpu {
        if cpu > limit { found[.cpu] = "CPU \(cpu), limit \(limit)" }
      } else if looks > 1 {
        // The first look has nothing to compare with.
        found[.cpu] = "nobody says how much CPU it takes"
      }
    }
    return found
  }

  private func above(_ count: Int?, _ limit: Int, _ what: String) -> String? {
    guard let count else { return "nobody says how many \(what)" }
    return count > limit ? "\(count) \(what), limit \(limit)" : nil
  }
}
