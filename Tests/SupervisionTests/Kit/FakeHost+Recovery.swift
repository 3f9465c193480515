import Vocabulary

@testable import Supervision

/// A life that begins after a crash: addresses come back with several listeners, each with what waits in it.
extension FakeHost {
  mutating func recover(_ plan: GenerationPlan) {
    guard random.chance(30), !service.hasSocketUnit else { return }
    let sockets = plan.sockets.filter { [.program, .rename].contains($0.steering) }
    var number: UInt64 = 10
    let groups = sockets.compactMap { socket -> SteeringGroup? in
      guard random.chance(70) else { return nil }
      let members = (0..<(2 + random.below(3))).map { ListenerID(key: socket.key, number: number + $0) }
      number += 10
      for member in members where random.chance(60) { queues[member] = 1 + Int(random.below(3)) }
      let serving = random.pick(members)
      return SteeringGroup(
        kind: socket.steering, members: members, rule: .everyone(serving), idle: Set(members), permanent: [],
        unserved: Set(members).subtracting([serving]), isInForce: true)
    }
    later(.zero, .tell(.listenersRecovered(groups, last: number)))
  }

  /// The same settings once more, as good or bad as any.
  mutating func repeatSettings(_ operation: OperationID, _ old: GenerationID, _ id: GenerationID) {
    guard let plan = core.generations[old]?.plan else {
      return later(.zero, .tell(.settingsRefused(operation, "not known")))
    }
    later(random.duration(.zero, .milliseconds(5)), .tell(.settingsLoaded(operation, plan.numbered(id))))
  }
}

extension LivenessPlan {
  var isTold: Bool {
    if case .told = self { return true }
    return false
  }
}
