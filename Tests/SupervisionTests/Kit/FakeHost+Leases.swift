import Vocabulary

@testable import Supervision

/// Whoever decides about leases, seen from a core: grants some time, withdraws now and then, and gives no time after that.
extension FakeHost {
  mutating func keepLeases(_ action: Action) {
    switch action {
    case .want(let lease), .vacated(let lease):
      if random.chance(90) { later(random.duration(.zero, .seconds(8)), .grants(lease)) }
      if random.chance(40) { later(random.duration(.zero, .seconds(40)), .withdraws(lease)) }
    case .closeLeases: if random.chance(80) { later(.milliseconds(30), .tell(.stageWorkDone(.redis))) }
    default: break
    }
  }

  mutating func decide(_ what: Happening) throws(Broken) {
    switch what {
    case .grants(let lease): if witness.leases[lease] == .wanted { try happen(.permitted(lease)) }
    case .withdraws(let lease):
      guard witness.leases[lease] == .permitted else { return }
      later(.seconds(4), .endsLease(lease))
      try happen(.withdrawn(lease))
    case .endsLease(let lease): if witness.leases[lease] == .withdrawn { try happen(.leaseIsUp(lease)) }
    default: break
    }
  }
}
