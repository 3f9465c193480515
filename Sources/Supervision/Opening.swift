import Vocabulary

/// Listeners: how a candidate gets its own, and what is done when one goes its own way.
extension Supervisor {
  /// Gives the candidate its listeners: new ones where the generations can be told apart, else those that are there.
  mutating func openListeners(_ change: Change) -> [Action] {
    guard let plan = generations[change.candidate]?.plan else { return [] }
    var kept = Set(plan.engines.filter { change.exclusive.contains($0.name) }.flatMap(\.sockets))
    // Engines that never run twice change over to the queue for whose sake this is done.
    if change.isRepeat { kept.subtract(plan.sockets.filter { hasUnserved($0.key) }.map(\.name)) }
    var pending: Set<ListenerID> = []
    var actions: [Action] = []
    for socket in plan.sockets {
      let fresh = ListenerID(key: socket.key, number: nextListener)
      let listener = listener(
        for: socket, fresh: fresh, keepsOld: change.kind != .handover || kept.contains(socket.name))
      generations[change.candidate]?.bindings[socket.name] = listener
      if listener == fresh {
        nextListener += 1
        pending.insert(fresh)
        actions.append(.open(fresh, socket: socket.name, generation: change.candidate))
      }
      guard groups[socket.key]?.needsCushion(for: listener) == true else { continue }
      let cushion = ListenerID(key: socket.key, number: nextListener)
      nextListener += 1
      pending.insert(cushion)
      groups[socket.key]?.addCushion(cushion)
      actions.append(.open(cushion, socket: socket.name, generation: change.candidate))
    }
    enter(change, .opening(pending))
    return actions
  }

  private mutating func listener(for socket: SocketPlan, fresh: ListenerID, keepsOld: Bool) -> ListenerID {
    guard let group = groups[socket.key] else {
      groups[socket.key] = SteeringGroup(kind: socket.steering, first: fresh)
      return fresh
    }
    // Nobody wanted the address for a while, but systemd holds it.
    if group.idle.contains(group.serving) { return groups[socket.key]?.admit(fresh) ?? fresh }
    // What the group is was decided when it was made.
    guard !keepsOld, group.kind == socket.steering, group.kind != .shared else { return group.serving }
    return groups[socket.key]?.admit(fresh) ?? fresh
  }

  // MARK: Answers

  mutating func listenerOpened(_ listener: ListenerID, isPermanent: Bool) -> [Action] {
    if isPermanent { groups[listener.key]?.makePermanent(listener) }
    guard case .changing(let change) = phase, case .opening(var pending) = change.step,
      pending.remove(listener) != nil
    else { return [] }
    enter(change, .opening(pending))
    return []
  }

  mutating func listenerRefused(_ listener: ListenerID, _ text: String, at now: Instant) -> [Action] {
    if groups[listener.key]?.idle.contains(listener) == true { return cushionRefused(listener) }
    forgetListener(listener)
    guard case .changing(let change) = phase, case .opening(let pending) = change.step, pending.contains(listener)
    else { return [] }
    if change.kind == .handover { return abort(.listener(listener, text), at: now) }
    return failStart(change, .listener(listener, text), at: now)
  }

  /// A handover is no worse without it than one of two listeners is.
  private mutating func cushionRefused(_ listener: ListenerID) -> [Action] {
    groups[listener.key]?.refused(listener)
    guard case .changing(let change) = phase, case .opening(var pending) = change.step,
      pending.remove(listener) != nil
    else { return [] }
    enter(change, .opening(pending))
    return []
  }

  mutating func listenerMustBeShared(_ listener: ListenerID, at now: Instant) -> [Action] {
    if groups[listener.key]?.idle.contains(listener) == true { return cushionRefused(listener) }
    guard groups[listener.key].map({ $0.members != [listener] }) == true else {
      return listenerRefused(listener, "there is no other listener to share", at: now)
    }
    forgetListener(listener)
    guard case .changing(let change) = phase, case .opening(var pending) = change.step,
      pending.remove(listener) != nil, let shared = groups[listener.key]?.serving
    else { return [] }
    for (name, bound) in generations[change.candidate]?.bindings ?? [:] where bound == listener {
      generations[change.candidate]?.bindings[name] = shared
    }
    enter(change, .opening(pending))
    return []
  }

  /// It never came to be: the kernel's order has no place for it.
  private mutating func forgetListener(_ listener: ListenerID) {
    if groups[listener.key]?.members == [listener] {
      groups[listener.key] = nil
    } else {
      groups[listener.key]?.refused(listener)
    }
  }

  mutating func listenerLeft(_ listener: ListenerID, at now: Instant) -> [Action] {
    guard groups[listener.key]?.members.contains(listener) == true else { return [] }
    let steps = groups[listener.key]?.left(listener) ?? []
    // Whatever it held is gone with it: nobody need wait for it to be quiet.
    var actions: [Action] = [.note(.listenerLeft(listener))] + self.actions(steps, of: listener.key)
    if groups[listener.key]?.members.contains(listener) != true {
      forgetUnquiet(listener)
      oldIsQuiet(listener)
    }
    if case .changing(let change) = phase, isBound(listener, by: change.candidate),
      serving.map({ isBound(listener, by: $0) }) != true
    {
      actions += abort(.listenerLeft(listener), at: now)
    }
    return actions
  }

  private func hasUnserved(_ key: SocketKey) -> Bool { groups[key]?.unserved.isEmpty == false }

  private func isBound(_ listener: ListenerID, by id: GenerationID) -> Bool {
    generations[id]?.bindings.values.contains(listener) == true
  }

  // MARK: Steering

  /// Steers every address of the candidate by `rule`, which gets the candidate's listener and the serving one.
  mutating func steer(
    _ change: Change, _ rule: (_ candidate: ListenerID, _ serving: ListenerID) -> SteeringRule
  ) -> [Action] {
    var actions: [Action] = []
    for listener in Set((generations[change.candidate]?.bindings ?? [:]).values).sorted() {
      guard let group = groups[listener.key], group.members.contains(listener) else { continue }
      let next = listener == group.serving ? .everyone(listener) : rule(listener, group.serving)
      actions += self.actions(groups[listener.key]?.steer(next) ?? [], of: listener.key)
    }
    return actions
  }

  /// Clients meet the serving generation again, and nobody else.
  mutating func steerBack(_ change: Change) -> [Action] {
    var actions: [Action] = []
    for listener in Set((generations[change.candidate]?.bindings ?? [:]).values).sorted() {
      guard let group = groups[listener.key], group.members.contains(listener) else { continue }
      let own = serving.flatMap { generations[$0]?.listener(at: listener.key) }
      let home = own.flatMap { group.members.contains($0) ? $0 : nil } ?? group.serving
      actions += self.actions(groups[listener.key]?.steer(.everyone(home)) ?? [], of: listener.key)
      guard change.isRepeat, group.serving == listener else { continue }
      if home != listener {
        groups[listener.key]?.wait(in: listener)
      } else if let serving, let own {
        // What the old one had is gone: it comes back with this one.
        for (name, bound) in generations[serving]?.bindings ?? [:] where bound == own {
          generations[serving]?.bindings[name] = listener
        }
      }
    }
    return actions
  }

  func actions(_ steps: [SteeringGroup.Step], of key: SocketKey) -> [Action] {
    steps.map { step in
      switch step {
      case .attach(let program, let rule): .attach(key, program, rule)
      case .close(let listener): .close(listener)
      case .relisten(let listener): .relisten(listener)
      }
    }
  }

  // MARK: Leaving

  /// Listeners that no generation is bound to any more leave their groups. Asked after a generation ended, and after one
  /// was committed to.
  mutating func sweep() -> [Action] { groups.keys.sorted().flatMap { sweep($0) } }

  private mutating func sweep(_ key: SocketKey) -> [Action] {
    guard var group = groups[key] else { return [] }
    // One that left the group is nobody's any more, whatever the bindings say.
    let users = generations.values.compactMap { generation in
      generation.listener(at: key).flatMap { group.members.contains($0) ? (generation, $0) : nil }
    }
    guard !users.isEmpty else {
      let steps = group.abandon()
      groups[key] = group.members.isEmpty ? nil : group
      return actions(steps, of: key)
    }
    let bound = Set(users.map(\.1))
    var steps: [SteeringGroup.Step] = []
    if !bound.isSuperset(of: group.rule.listeners) {
      // The serving settings do not name it, others do: one that served and drains, or a candidate that brings it back.
      // Where there is only a candidate that was given up, the address ends with that.
      let heir =
        users.filter(\.0.hasServed).max { $0.0.id < $1.0.id } ?? users.first { $0.0.role == .candidate }
      if let next = heir?.1 { steps = group.steer(group.rule.serving(by: next)) }
    }
    for listener in group.members where !bound.contains(listener) && !group.rule.listeners.contains(listener) {
      steps += group.retire(listener)
    }
    groups[key] = group
    return actions(steps, of: key)
  }
}
