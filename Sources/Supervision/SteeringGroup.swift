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

extension SteeringRule {
  /// The same for the candidate, with another listener for everyone else.
  func serving(by next: ListenerID) -> SteeringRule {
    switch self {
    case .probes(let candidate, _) where candidate != next: .probes(candidate: candidate, serving: next)
    case .share(let share, let candidate, _) where candidate != next: .share(share, candidate: candidate, serving: next)
    case .everyone, .probes, .share: .everyone(next)
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
/// same listener, or only one listener is left. Where closing one would break that, it stays in its place, open and idle,
/// until a later change allows it to go or a new generation takes it.
///
/// A worker can shut its listener down at any time, and the kernel moves the last one before we know. While that could
/// move the serving one out of its place among several others, an idle one stands behind it and is moved instead: the
/// cushion. It joins together with a candidate, before it can be needed; where it cannot be made, only this is lost.
/// (Source: socket(7) SO_ATTACH_REUSEPORT_CBPF, and the kernel's reuseport_detach_sock.)
package struct SteeringGroup: Hashable, Sendable {
  package let kind: SteeringKind
  /// In the kernel's order.
  package private(set) var members: [ListenerID]
  package private(set) var rule: SteeringRule
  /// Nobody's, and met by nobody: they wait to be closed or taken by the next generation.
  package private(set) var idle: Set<ListenerID> = []
  /// systemd's socket unit holds a copy: closing ours would not make them leave, so they are never closed.
  package private(set) var permanent: Set<ListenerID> = []
  /// Came back after a crash, perhaps with connections that nobody has taken: not closed before somebody has, or before
  /// they are known to hold none.
  package private(set) var unserved: Set<ListenerID> = []
  /// What the kernel was told last; nil before the first time.
  private var inForce: Attachment?

  private struct Attachment: Hashable {
    let program: SteeringProgram
    let rule: SteeringRule
  }

  /// What the runtime does, in this order, with nothing in between.
  package enum Step: Hashable, Sendable {
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

  /// As another image of this program left it. `isInForce`: the kernel has the rule, so that it need not be told again.
  ///
  /// nil when it cannot be: no member, one named twice, or the rule or a mark names a stranger.
  package init?(
    kind: SteeringKind, members: [ListenerID], rule: SteeringRule, idle: Set<ListenerID>, permanent: Set<ListenerID>,
    unserved: Set<ListenerID> = [], isInForce: Bool
  ) {
    guard !members.isEmpty, Set(members).count == members.count, Set(members.map(\.key)).count == 1,
      rule.listeners.allSatisfy(members.contains), idle.union(permanent).union(unserved).isSubset(of: members)
    else { return nil }
    self.kind = kind
    self.members = members
    self.rule = rule
    self.idle = idle
    self.permanent = permanent
    self.unserved = unserved
    if isInForce { inForce = Attachment(program: program, rule: rule) }
  }

  package var serving: ListenerID { rule.serving }

  /// Whether the kernel was told the rule as it is now.
  package var isInForce: Bool { inForce == Attachment(program: program, rule: rule) }

  // MARK: Joining

  /// The listener a new generation gets: an idle one, else `fresh`, which is to be opened. Of idle ones the one that
  /// clients meet comes first, then those that clients wait in.
  package mutating func admit(_ fresh: ListenerID) -> ListenerID {
    let waiting = members.filter(idle.contains)
    if let taken = waiting.first(where: { $0 == serving }) ?? waiting.first(where: unserved.contains) ?? waiting.first {
      idle.remove(taken)
      return taken
    }
    members.append(fresh)
    return fresh
  }

  /// Whether a cushion has to join with `candidate`: now, or once it serves, the last one could be moved out of use.
  /// Nobody can shut a datagram socket down.
  package func needsCushion(for candidate: ListenerID) -> Bool {
    kind == .program && members.count > 2 && candidate != serving
      && (members.last == serving || members.last == candidate)
      && idle.count < Self.mostIdle
  }

  /// So many idle ones stand in front of the serving one only where its workers shut it down again and again.
  private static let mostIdle = 4

  /// `cushion` joins as the last, idle.
  package mutating func addCushion(_ cushion: ListenerID) {
    members.append(cushion)
    idle.insert(cushion)
  }

  /// It could not be made: the kernel never had it.
  mutating func refused(_ listener: ListenerID) {
    members.removeAll { $0 == listener }
    idle.remove(listener)
  }

  /// Unix sockets are told apart by their path, so that an outside copy of one does no harm.
  mutating func makePermanent(_ listener: ListenerID) {
    if isOrdered { permanent.insert(listener) }
  }

  // MARK: Steering

  package mutating func steer(_ next: SteeringRule) -> [Step] {
    assert(next.listeners.allSatisfy(members.contains), "steering to a listener outside the group: \(next)")
    guard next.listeners.allSatisfy(members.contains) else { return [] }
    rule = allowed(next)
    if case .everyone(let one) = rule { unserved.remove(one) }
    return attach() + closeIdle()
  }

  // MARK: Leaving

  /// Nobody waits in it.
  mutating func served(_ listener: ListenerID) { unserved.remove(listener) }

  /// Clients met it and do not any more: what they left there waits on.
  mutating func wait(in listener: ListenerID) {
    if members.contains(listener), !rule.listeners.contains(listener) { unserved.insert(listener) }
  }

  /// `listener` is quiet and its generation is gone: it is closed now, or as soon as that harms nobody.
  package mutating func retire(_ listener: ListenerID) -> [Step] {
    assert(!rule.listeners.contains(listener), "retiring a listener that the rule names: \(listener)")
    guard members.contains(listener), !rule.listeners.contains(listener) else { return [] }
    idle.insert(listener)
    return closeIdle()
  }

  /// Nobody wants the address any more: all go but what systemd holds, which waits for whoever names the address again.
  /// Candidates go before the one that serves, which is the last that clients may meet.
  mutating func abandon() -> [Step] {
    let candidates = rule.listeners.filter { $0 != serving }
    let others = members.filter { !rule.listeners.contains($0) }
    let closed = (candidates + others + [serving]).filter { !permanent.contains($0) }
    members.removeAll { closed.contains($0) }
    unserved = []
    idle = permanent
    guard let left = members.first else { return closed.map { .close($0) } }
    rule = .everyone(left)
    return closed.map { .close($0) } + attach()
  }

  /// A worker shut `listener` down behind our back: the kernel has moved the last member already. One that is in use
  /// listens again (as the last); another is only forgotten.
  package mutating func left(_ listener: ListenerID) -> [Step] {
    guard members.contains(listener) else { return [] }
    let isPermanent = permanent.contains(listener)
    remove(listener)
    guard rule.listeners.contains(listener) else { return attach(isForced: true) + [.close(listener)] }
    members.append(listener)
    if isPermanent { permanent.insert(listener) }
    // Alone, it has no group to give a program to before it listens.
    guard members.count > 1 else { return [.relisten(listener)] + attach(isForced: true) }
    // Else the program is put right first: until a candidate is back, its place would mean anybody.
    let meanwhile: [Step] =
      listener == serving || !isOrdered ? [] : [.attach(.constant(place(of: serving)), .everyone(serving))]
    let attach = attach(isForced: true)
    return meanwhile.isEmpty ? attach + [.relisten(listener)] : meanwhile + [.relisten(listener)] + attach
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

  // MARK: Places

  /// Whether the kernel tells the members apart by their places.
  private var isOrdered: Bool {
    switch kind {
    case .program, .constant: true
    case .rename, .shared: false
    }
  }

  private func place(of listener: ListenerID) -> Int { isOrdered ? members.firstIndex(of: listener) ?? 0 : 0 }

  /// Constants only where the kind allows no more.
  private func allowed(_ rule: SteeringRule) -> SteeringRule {
    switch kind {
    case .program: rule
    case .constant, .rename, .shared: .everyone(rule.serving)
    }
  }

  /// Nothing where the kernel knows it already, and nothing where there is nothing to tell apart.
  private mutating func attach(isForced: Bool = false) -> [Step] {
    let next = Attachment(program: program, rule: rule)
    guard kind != .shared, isForced && isOrdered || next != inForce else { return [] }
    inForce = next
    return [.attach(next.program, next.rule)]
  }

  private mutating func closeIdle() -> [Step] {
    var steps: [Step] = []
    while let one = members.last(where: { idle.contains($0) && canClose($0) }) {
      remove(one)
      // With one listener left any place means it; the program is put right before another may join.
      steps += [.close(one)] + attach()
    }
    return steps
  }

  /// Whether the kernel's move of the last member into the gap leaves each place of the program as it is, also when
  /// another one leaves by itself afterwards.
  private func canClose(_ listener: ListenerID) -> Bool {
    guard !permanent.contains(listener), !unserved.contains(listener), let last = members.last else { return false }
    guard isOrdered, members.count > 2 else { return true }
    guard last == listener || !rule.listeners.contains(last) else { return false }
    var rest = self
    rest.remove(listener)
    return !rest.isMovable
  }

  /// Whether somebody's worker can move one that serves, or will, out of its place, with others left to be met instead.
  private var isMovable: Bool {
    guard kind == .program, members.count > 2, let last = members.last, !idle.contains(last) else { return false }
    return members.contains { $0 != last && !idle.contains($0) }
  }

  private mutating func remove(_ listener: ListenerID) {
    idle.remove(listener)
    permanent.remove(listener)
    unserved.remove(listener)
    guard let gap = members.firstIndex(of: listener), let last = members.popLast() else { return }
    if gap < members.count { members[gap] = last }
  }
}
