internal import Vocabulary

/// What one part of the settings says about another: names, cycles, ports taken twice, and what is weak.
struct CrossReferences {
  let raw: RawSettings
  let settings: Settings
  let findings: Findings

  func check() {
    checkDuplicateAddresses()
    checkSocketsOfEngines()
    checkUnusedSockets()
    checkAfter()
    checkCycles()
    checkProve()
    checkTrial()
    Weaknesses(raw: raw, settings: settings, findings: findings).warn()
  }

  private func rawSocket(_ name: SocketName) -> RawSettings.Socket? {
    raw.sockets.first { $0.name.value == name.rawValue }
  }

  /// Engines with what the file says of them; those without a proper name have their error already.
  private var engines: [(raw: RawSettings.Engine, engine: Settings.Engine)] {
    settings.engines.compactMap { engine in
      raw.engines.first { $0.name.value == engine.name.rawValue }.map { ($0, engine) }
    }
  }

  private func checkDuplicateAddresses() {
    for (index, later) in settings.sockets.enumerated() {
      guard let earlier = settings.sockets[..<index].first(where: { $0.address.overlaps(later.address) }),
        let position = rawSocket(later.name)?.listen?.position
      else { continue }
      findings.error(
        "listen is \"\(later.address)\", and socket \(earlier.name) already listens on \"\(earlier.address)\"; "
          + "an address no other socket takes is accepted", at: position)
    }
  }

  private func checkSocketsOfEngines() {
    let known = raw.sockets.map(\.name.value)
    for engine in raw.engines {
      for socket in engine.sockets where !known.contains(socket.value) {
        unknown("sockets", "socket", socket, known)
      }
    }
  }

  private func unknown(_ key: String, _ kind: String, _ name: Located<String>, _ known: [String]) {
    let list = known.isEmpty ? "there is none" : "known are \(known.joined(separator: ", "))"
    findings.error(
      "\(key) names the \(kind) \(TomlText.quoted(name.value, limit: 60)), which is not described; \(list)",
      at: name.position, hint: NearestWord.hint(name.value, among: known))
  }

  private func checkUnusedSockets() {
    let used = Set(raw.engines.flatMap { $0.sockets.map(\.value) })
    for socket in raw.sockets where !used.contains(socket.name.value) && SocketName(rawValue: socket.name.value) != nil
    {
      findings.error(
        "nobody uses socket \(TomlText.quoted(socket.name.value, limit: 60)): no engine has it in its sockets",
        at: socket.name.position)
    }
  }

  private func checkAfter() {
    let known = raw.engines.map(\.name.value)
    for engine in raw.engines {
      for other in engine.after where !known.contains(other.value) { unknown("after", "engine", other, known) }
    }
  }

  /// One error for each cycle, at the `after` that closes it.
  private func checkCycles() {
    let engines = Dictionary(raw.engines.map { ($0.name.value, $0) }, uniquingKeysWith: { first, _ in first })
    var done: Set<String> = []
    for start in raw.engines where !done.contains(start.name.value) {
      // Depth first without recursion: the path from `start`, and for each of its engines which `after` comes next.
      var path = [(engine: start, next: 0)]
      while let last = path.last {
        guard last.next < last.engine.after.count else {
          done.insert(last.engine.name.value)
          path.removeLast()
          continue
        }
        path[path.count - 1].next += 1
        let other = last.engine.after[last.next]
        if let first = path.firstIndex(where: { $0.engine.name.value == other.value }) {
          let names = path[first...].map { $0.engine.name.value } + [other.value]
          findings.error(
            "after makes a cycle: \(names.joined(separator: " after ")); an order with a first engine is accepted",
            at: other.position)
        } else if !done.contains(other.value), let engine = engines[other.value] {
          path.append((engine, 0))
        }
      }
    }
  }

  private func checkProve() {
    for (raw, engine) in engines {
      guard let prove = raw.prove?.socket else { continue }
      guard let socket = settings.sockets.first(where: { $0.name.rawValue == prove.value }) else {
        // A socket with an error of its own is known nevertheless.
        if rawSocket(SocketName(unchecked: prove.value)) == nil {
          unknown("prove", "socket", prove, raw.sockets.map(\.value))
        }
        continue
      }
      if !engine.sockets.contains(socket.name) {
        let own = engine.sockets.map(\.rawValue).joined(separator: ", ")
        findings.error(
          "prove names socket \(socket.name), which engine \(engine.name) does not have; "
            + (own.isEmpty ? "its sockets are none" : "one of its sockets (\(own)) is accepted"), at: prove.position)
      } else if case .udp = socket.address {
        findings.error(
          "prove names socket \(socket.name), which takes datagrams (\(socket.address)); "
            + "a TCP socket or a path is accepted", at: prove.position)
      }
    }
  }

  private func checkTrial() {
    guard settings.handover.trial != nil, let handover = raw.handover,
      let position = handover.trial?.position ?? handover.strategy?.position
    else { return }
    if settings.handover.steering == .off {
      findings.error("a trial needs steering, which is \"off\"; steering = \"auto\" is accepted", at: position)
    }
    for engine in settings.engines where engine.handover == .overlap {
      for socket in settings.sockets where engine.sockets.contains(socket.name) {
        let reason: String
        switch socket.address {
        case .tcp: continue
        case .udp: reason = "takes datagrams, and a share would split what belongs together"
        case .unix: reason = "is a path, which leads to one generation only"
        }
        findings.error(
          "trial gives a share of engine \(engine.name), whose socket \(socket.name) \(reason); "
            + "engines with TCP sockets only are accepted", at: position)
      }
    }
  }
}
