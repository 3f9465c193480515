import Vocabulary

@testable import Supervision

/// What a core asks of whoever decides about leases, and what it gives back.
extension Witness {
  mutating func followLease(_ action: Action) -> String? {
    switch action {
    case .want(let lease):
      if unwanted.remove(lease) == nil, leases[lease] != nil { return "\(lease) is asked for twice" }
      if leases[lease] == nil { leases[lease] = .wanted }
    case .unwant(let lease):
      if unwanted.contains(lease) || leases[lease] == nil { return "\(lease) was not asked for" }
      if leases[lease] == .wanted { leases[lease] = nil } else { unwanted.insert(lease) }
    case .vacated(let lease): return vacated(lease)
    case .closeLeases:
      // What cannot be killed is not waited for.
      let left = leases.filter { lease, state in
        state != .wanted && !processes.values.contains { $0.engine.lease == lease }
      }
      if !left.isEmpty { return "left with \(left) under way" }
    default: break
    }
    return nil
  }

  private mutating func vacated(_ lease: LeaseName) -> String? {
    if let worker = processes.first(where: { $0.value.engine.lease == lease && $0.value.counts(at: now) })?.key {
      return "\(lease) is given back while \(worker) runs"
    }
    isUp.remove(lease)
    leases[lease] = unwanted.remove(lease) == nil ? .wanted : nil
    return nil
  }
}
