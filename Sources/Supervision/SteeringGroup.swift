package import Vocabulary

/// How generations that share an address are told apart.
package enum SteeringKind: String, Hashable, Sendable, CaseIterable {
  /// One listener a generation in one SO_REUSEPORT group; a classic BPF program picks by index (TCP).
  case program
  /// As ``program``, but only constants: a share would split a datagram flow (UDP).
  case constant
  /// A listener a generation, made beside the public path and renamed over it (Unix sockets).
  case rename
  /// One listener for all generations: an unproven one meets clients as soon as it accepts.
  case shared
}

/// A listening socket, named by its address and a number that is never used again.
package struct ListenerID: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let key: SocketKey
  package let number: UInt64

  package init(key: SocketKey, number: UInt64) {
    self.key = key
    self.number = number
  }

  package var description: String { "\(key)#\(number)" }
  package static func < (left: Self, right: Self) -> Bool { (left.key, left.number) < (right.key, right.number) }
}

/// Whom a new connection meets, said in listeners.
package enum SteeringRule: Hashable, Sendable {
  case everyone(ListenerID)
  /// Marked probes meet `candidate`, everyone else `serving`.
  case probes(candidate: ListenerID, serving: ListenerID)
  /// Marked probes and a share of the clients meet `candidate`.
  case share(Share, candidate: ListenerID, serving: ListenerID)

  var listeners: [ListenerID] {
    switch self {
    case .everyone(let one): [one]
    case .probes(let candidate, let serving), .share(_, let candidate, let serving): [candidate, serving]
    }
  }

  package var serving: ListenerID {
    switch self {
    case .everyone(let one): one
    case .probes(_, let serving), .share(_, _, let serving): serving
    }
  }
}

/// The same rule as the kernel has it, in places of the group.
package enum SteeringProgram: Hashable, Sendable {
  case constant(Int)
  case probes(candidate: Int, serving: Int)
  case share(Share, candidate: Int, serving: Int)

  package var places: [Int] {
    switch self {
    case .constant(let place): [place]
    case .probes(let candidate, let serving), .share(_, let candidate, let serving): [candidate, serving]
    }
  }
}

/// The order of the listeners of one address, and the rule in force.
///
/// The kernel knows a listener only by its place: the order of joining, and when one leaves, the last moves into the gap.
/// **Invariant**: before and after each join and each leave, every place the program can return is valid and means the
/// same listener, or only one listener is left. Where closing one would break that, a spare joins first: it is the last
/// then, and moves into the gap in place of a listener that is in use. (reference: socket(7) SO_ATTACH_REUSEPORT_CBPF.)
package struct SteeringGroup: Hashable, Sendable {
  package let kind: SteeringKind
  /// In the kernel's order.
  package private(set) var members: [ListenerID]
  package private(set) var rule: SteeringRule
  /// Joined to keep the places of others; the next generation takes them first.
  package private(set) var spares: Set<ListenerID> = []

  /// What the runtime does, in this order, with nothing in between.
  package enum Step: Hashable, Sendable {
    case join(ListenerID)
    case attach(SteeringProgram, SteeringRule)
    case close(ListenerID)
    /// listen(2) again on a socket that somebody shut down: it joins anew, as the last.
    case relisten(ListenerID)
  }

  package init(kind: SteeringKind, first: ListenerID) {
    self.kind = kind
    members = [first]
    rule = .everyone(first)
  }

  package var serving: ListenerID { rule.serving }

  /// The steps that add a listener for a candidate: a spare where there is one.
  package mutating func admit(_ candidate: ListenerID) -> (listener: ListenerID, steps: [Step]) {
    if let spare = spares.min() {
      spares.remove(spare)
      return (spare, [])
    }
    members.append(candidate)
    return (candidate, [.join(candidate)])
  }

  package mutating func steer(_ next: SteeringRule) -> [Step] {
    precondition(next.listeners.allSatisfy(members.contains), "steering to a listener outside the group: \(next)")
    rule = allowed(next)
    return [.attach(program, rule)]
  }

  /// Takes `listener` out for good. `spare` is used when its place may not be filled by the last member.
  package mutating func retire(_ listener: ListenerID, spare: ListenerID) -> [Step] {
    guard members.contains(listener) else { return [] }
    precondition(!rule.listeners.contains(listener), "retiring a listener that the rule names: \(listener)")
    var steps: [Step] = []
    if !canClose(listener) {
      members.append(spare)
      spares.insert(spare)
      steps.append(.join(spare))
    }
    steps += close(listener)
    while let idle = spares.sorted().first(where: canClose) {
      spares.remove(idle)
      steps += close(idle)
    }
    return steps
  }

  /// It could not be made: the kernel never had it.
  mutating func refused(_ listener: ListenerID) {
    members.removeAll { $0 == listener }
    spares.remove(listener)
  }

  /// A worker shut `listener` down behind our back: the kernel has moved the last member already. One that is in use
  /// listens again (as the last); another is only forgotten.
  package mutating func left(_ listener: ListenerID) -> [Step] {
    guard kind == .program, members.contains(listener) else { return [] }
    remove(listener)
    var steps: [Step] = []
    if rule.listeners.contains(listener) {
      members.append(listener)
      steps.append(.relisten(listener))
    } else {
      spares.remove(listener)
      steps.append(.close(listener))
    }
    return steps + [.attach(program, rule)]
  }

  /// The rule in force as places.
  package var program: SteeringProgram {
    switch rule {
    case .everyone(let one): .constant(place(of: one))
    case .probes(let candidate, let serving): .probes(candidate: place(of: candidate), serving: place(of: serving))
    case .share(let share, let candidate, let serving):
      .share(share, candidate: place(of: candidate), serving: place(of: serving))
    }
  }

  private func place(of listener: ListenerID) -> Int { members.firstIndex(of: listener) ?? 0 }

  /// Constants only where the kind allows no more.
  private func allowed(_ rule: SteeringRule) -> SteeringRule {
    switch kind {
    case .program: rule
    case .constant, .rename, .shared: .everyone(rule.serving)
    }
  }

  /// Whether the kernel's move of the last member into the gap leaves each place of the program as it is.
  private func canClose(_ listener: ListenerID) -> Bool {
    guard !rule.listeners.contains(listener), let last = members.last else { return false }
    switch kind {
    case .rename, .shared: return true
    case .program, .constant: return last == listener || members.count == 2 || !rule.listeners.contains(last)
    }
  }

  private mutating func close(_ listener: ListenerID) -> [Step] {
    let before = program
    remove(listener)
    // With one listener left any place means it; the program is put right before another may join.
    return program == before ? [.close(listener)] : [.close(listener), .attach(program, rule)]
  }

  private mutating func remove(_ listener: ListenerID) {
    guard let gap = members.firstIndex(of: listener), let last = members.popLast() else { return }
    if gap < members.count { members[gap] = last }
  }
}
