import Vocabulary

@testable import Supervision

/// What the kernel does with listeners of one address, as reference and man pages say (socket(7), reuseport): members in
/// the order of joining, the last moves into a gap, a program picks by place, and a place that is not there means any.
struct FakeKernel: Hashable {
  struct Group: Hashable {
    let kind: SteeringKind
    var members: [ListenerID] = []
    /// nil until one is attached, and again when the last member has left.
    var program: SteeringProgram?
    /// Where the public path leads (Unix sockets).
    var published: ListenerID?
    /// A socket unit has a copy: closing ours changes nothing.
    var permanent: Set<ListenerID> = []
  }

  private(set) var groups: [SocketKey: Group] = [:]

  mutating func open(_ listener: ListenerID, _ kind: SteeringKind, isPermanent: Bool = false) {
    var group = groups[listener.key] ?? Group(kind: kind)
    group.members.append(listener)
    if group.published == nil { group.published = listener }
    if isPermanent { group.permanent.insert(listener) }
    groups[listener.key] = group
  }

  mutating func makePermanent(_ listener: ListenerID) { groups[listener.key]?.permanent.insert(listener) }

  mutating func attach(_ key: SocketKey, _ program: SteeringProgram, _ rule: SteeringRule) {
    groups[key]?.program = program
    groups[key]?.published = rule.serving
  }

  mutating func close(_ listener: ListenerID) {
    guard groups[listener.key]?.permanent.contains(listener) != true else { return }
    leave(listener)
  }

  /// shutdown(2), by a worker or by close of the last copy.
  mutating func leave(_ listener: ListenerID) {
    guard var group = groups[listener.key], let gap = group.members.firstIndex(of: listener) else { return }
    let last = group.members.removeLast()
    if gap < group.members.count { group.members[gap] = last }
    group.permanent.remove(listener)
    if group.published == listener { group.published = nil }
    if group.members.isEmpty { group.program = nil }
    groups[listener.key] = group
  }

  mutating func relisten(_ listener: ListenerID) {
    groups[listener.key]?.members.append(listener)
    if groups[listener.key]?.published == nil { groups[listener.key]?.published = listener }
  }

  func members(_ key: SocketKey) -> [ListenerID] { groups[key]?.members ?? [] }

  /// Whom a new client may meet.
  func clients(_ key: SocketKey) -> Set<ListenerID> {
    guard let group = groups[key], !group.members.isEmpty else { return [] }
    switch group.kind {
    case .rename: return group.published.map { [$0] } ?? []
    case .shared: return Set(group.members)
    case .program, .constant:
      switch group.program {
      case nil: return Set(group.members)
      case .constant(let place): return group.at(place)
      case .probes(_, let serving): return group.at(serving)
      case .share(_, let candidate, let serving): return group.at(candidate).union(group.at(serving))
      }
    }
  }

  /// Whom a marked question may meet.
  func probes(_ key: SocketKey) -> Set<ListenerID> {
    guard let group = groups[key] else { return [] }
    switch group.program {
    case .probes(let candidate, _), .share(_, let candidate, _): return group.at(candidate)
    case nil, .constant: return clients(key)
    }
  }
}

extension FakeKernel.Group {
  fileprivate func at(_ place: Int) -> Set<ListenerID> {
    members.indices.contains(place) ? [members[place]] : Set(members)
  }
}
