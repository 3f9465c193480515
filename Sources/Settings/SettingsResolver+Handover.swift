internal import Vocabulary

// [handover]

extension SettingsResolver {
  func handover(_ service: Settings.Service) -> Settings.Handover {
    let handover = raw.handover ?? RawSettings.Handover()
    let strategy: Settings.Strategy = values.choice(handover.strategy, .handoverStrategy, .all)
    return Settings.Handover(
      strategy: strategy, trial: trial(handover.trial, strategy, service),
      steering: values.choice(handover.steering, .handoverSteering, .auto),
      maxDraining: values.integer(handover.maxDraining, .handoverMaxDraining),
      maxDrainTime: values.duration(handover.maxDrainTime, .handoverMaxDrainTime),
      upgradeOnReload: handover.upgradeOnReload?.value ?? false)
  }

  private func trial(
    _ trial: RawSettings.Trial?, _ strategy: Settings.Strategy, _ service: Settings.Service
  ) -> Settings.Trial? {
    if let trial { refuseOthers(trial, strategy) }
    var shares: [Share] = []
    var batch: Int?
    switch strategy {
    case .all: shares = trial.map { share(of: $0) } ?? []
    case .canary: shares = steps(of: trial)
    case .rolling: batch = trial?.batch.map { values.integer($0, .trialBatch) } ?? 1
    }
    guard !shares.isEmpty || batch != nil else { return nil }
    return Settings.Trial(
      shares: shares, batch: batch, duration: values.duration(trial?.duration, .trialFor),
      check: check(trial?.check, service),
      checkTimeout: values.duration(trial?.checkTimeout, .trialCheckTimeout))
  }

  /// Each strategy has one key that says how it goes.
  private func refuseOthers(_ trial: RawSettings.Trial, _ strategy: Settings.Strategy) {
    let accepted =
      switch strategy {
      case .all: "share is"
      case .canary: "steps are"
      case .rolling: "batch is"
      }
    let keys: [(Settings.Strategy, Position?, String, hint: String)] = [
      (.all, trial.share?.position, "share is", "write strategy = \"all\", or leave it out"),
      (.canary, trial.steps?.position, "steps are", "write strategy = \"canary\""),
      (.rolling, trial.batch?.position, "batch is", "write strategy = \"rolling\""),
    ]
    for (owner, position, key, hint) in keys where owner != strategy {
      guard let position else { continue }
      findings.error(
        "\(key) for strategy \"\(owner.rawValue)\", and the strategy is \"\(strategy.rawValue)\"; \(accepted) accepted",
        at: position, hint: hint)
    }
  }

  /// One share, with strategy "all".
  private func share(of trial: RawSettings.Trial) -> [Share] {
    guard let share = trial.share else {
      // What is there for another strategy has its own error.
      if findings.refused.contains("handover.trial.share") || trial.steps != nil || trial.batch != nil { return [] }
      findings.error(
        "trial has no share; it is required", at: trial.position,
        hint: "write trial = { share = \"5%\", for = \"10s\" }")
      return []
    }
    return [values.share(share, .trialShare)]
  }

  /// Several, with strategy "canary".
  private func steps(of trial: RawSettings.Trial?) -> [Share] {
    guard let steps = trial?.steps else { return Self.canarySteps }
    guard !steps.value.isEmpty else {
      values.refuse("empty", .trialSteps, at: steps.position)
      return []
    }
    var shares: [Share] = []
    for step in steps.value {
      let share = values.share(step, .trialSteps)
      guard share > shares.last ?? .none else {
        // What is no share at all has its own error.
        if (try? Share(text: step.value)) != nil {
          findings.error(
            "steps holds \(values.quoted(step.value)), which is not more than \(shares.last ?? .none); "
              + "\(KnownKey.trialSteps.entry.form.accepted) is accepted", at: step.position)
        }
        return []
      }
      shares.append(share)
    }
    return shares
  }

  private static var canarySteps: [Share] { [100, 500, 2_500].map { Share(clamping: $0) } }

  private func check(_ check: RawSettings.Trial.Check?, _ service: Settings.Service) -> Settings.Trial.Check? {
    switch check {
    case nil: return nil
    case .command(let raw):
      return command(raw, .trialCheck, path: searchPath(service, nil)).map { .exec($0) }
    case .url(let text):
      guard let url = url(text, .trialCheck) else { return nil }
      guard !url.usesPort else {
        findings.error(
          "check is \(values.quoted(text.value)); a trial is of all workers, so that {port} means nothing here",
          at: text.position)
        return nil
      }
      return .http(url)
    }
  }
}
