internal import CLinux
internal import Deployment
internal import Glibc
internal import LinuxSystem
internal import Settings
internal import Vocabulary

/// Whether the deploy user may do below `directory` what is to be done, and whether `current` can be switched.
enum DirectoryCheck {
  static func look(_ operation: Operation) -> PreflightStep.Finding {
    let layout = operation.layout
    let user = operation.deploy.user
    func refusal(_ what: String, _ next: String) -> PreflightStep.Finding {
      .refusal(StepFailure(.refused, what, next: next))
    }
    if let finding = unadopted(operation) { return finding }
    guard access(layout.directory, W_OK | X_OK) == 0 else {
      return refusal(
        "\(SystemError("change", layout.directory, errno: errno)): \(user) makes releases in it",
        "chown \(user) \(layout.directory)")
    }
    do throws(SystemError) {
      let top = try FileFacts.of(layout.directory)
      for path in [layout.releases, layout.shared, layout.backups, layout.deploys] {
        guard let facts = try FileFacts.ifPresent(path) else { continue }
        guard facts.kind == .directory else {
          return refusal("\(path) is \(facts.kind.noun), and a directory is needed", "move it away")
        }
        guard access(path, W_OK | X_OK) == 0 else {
          return refusal("\(SystemError("change", path, errno: errno))", "chown -R \(user) \(path)")
        }
        // A release is renamed into its place, which only works within one file system.
        if path == layout.releases, facts.identity.device != top.identity.device {
          return refusal(
            "\(path) is another file system than \(layout.directory)",
            "let directory of [service] be in the file system of the releases")
        }
      }
      guard let current = try FileFacts.ifPresent(layout.current) else {
        return .fine("\(layout.directory) is ready for its first release")
      }
      guard current.kind == .link else {
        return refusal(
          "\(layout.current) is \(current.kind.noun), and a link to a release is needed",
          "baton adopt makes a release of what is there")
      }
      guard let release = currentRelease(layout) else {
        return refusal(
          "\(layout.current) leads to no release of \(layout.releases)", "baton adopt makes a release of what is there")
      }
      guard access(layout.release(release), X_OK) == 0 else {
        return .weak("\(layout.current) names release \(release), whose directory is gone")
      }
      return unsaid(operation) ?? .fine("\(layout.current) names release \(release)")
    } catch {
      return refusal("\(error)", "see what is the matter with \(layout.directory)")
    }
  }
}

extension DirectoryCheck {
  /// `tree`, as long as no release was made of it: whatever is activated, the service would run on from there.
  private static func unadopted(_ operation: Operation) -> PreflightStep.Finding? {
    guard let tree = operation.deploy.tree else { return nil }
    do throws(SystemError) {
      guard try FileFacts.ifPresent(tree)?.kind == .directory else { return nil }
    } catch {
      return .refusal(
        StepFailure(
          .refused, "\(error): whether the service runs from there cannot be seen",
          next: "let \(operation.deploy.user) reach \(tree), or take tree out of [deploy]"))
    }
    return .refusal(
      StepFailure(
        .refused, "the service runs from \(tree), which is a directory and no link to a release",
        next: "baton adopt makes a release of it, without an interruption; or take tree out of [deploy]"))
  }

  /// What was named when the tree was adopted, is a link in the release that serves, and is in no settings.
  private static func unsaid(_ operation: Operation) -> PreflightStep.Finding? {
    let known = Set(operation.deploy.shared + operation.deploy.exclude)
    do {
      let lost = try Adoption.read(operation.layout)?.shared.filter { path in
        try !known.contains(path) && FileFacts.ifPresent("\(operation.layout.current)/\(path)")?.kind == .link
      }
      guard let lost, !lost.isEmpty else { return nil }
      return .weak(
        "\(lost.joined(separator: ", ")) of the adopted tree is shared, and the new release is without it: [deploy] "
          + "shared does not name it")
    } catch {
      return .weak("what was shared when the tree was adopted cannot be seen: \(error)")
    }
  }
}

/// Whether the clock can be believed. Nothing is decided by it, but people read its times, and TLS and git need it.
enum ClockCheck {
  /// 2025-01-01: nothing of this was ever built earlier.
  private static let earliest: Int64 = 1_735_689_600_000_000

  static func look(_ operation: Operation) -> PreflightStep.Finding {
    let now = RealTime.microseconds()
    guard now >= earliest else {
      return .refusal(
        StepFailure(.refused, "the clock of this host stands before 2025", next: "timedatectl set-ntp true"))
    }
    let last = OperationIndex.all(operation.layout).filter { $0 != operation.id }
      .compactMap { StepLog.peek(operation.layout, $0).last?.time.wall }.max()
    guard let last, last > now + 60_000_000 else { return .fine("it runs on from the last operation") }
    return .weak("it stands \((last - now) / 1_000_000) s before the last operation: it was set back, or is wrong now")
  }
}

/// `[deploy] window`
enum WindowCheck {
  static func look(_ operation: Operation, overridden: Bool) -> PreflightStep.Finding {
    let windows = operation.deploy.window
    guard !windows.isEmpty else { return .fine("always") }
    var seconds = time(nil)
    var parts = tm()
    localtime_r(&seconds, &parts)
    // tm_wday counts from Sunday.
    let weekday = (Int(parts.tm_wday) + 6) % 7
    let minute = Int(parts.tm_hour) * 60 + Int(parts.tm_min)
    let list = windows.map(\.description).joined(separator: ", ")
    if windows.contains(where: { $0.contains(weekday: weekday, minute: minute) }) { return .fine("open (\(list))") }
    if overridden { return .weak("closed (\(list)), and overridden") }
    return .refusal(
      StepFailure(
        .refused, "the maintenance window is closed: \(list), local time",
        next: "wait for it, or begin all the same with --override-window"))
  }
}
