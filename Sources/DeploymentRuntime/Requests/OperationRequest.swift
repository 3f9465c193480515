internal import CLinux
package import Deployment
internal import Glibc
package import JSON
internal import LinuxSystem
package import Vocabulary

/// What a person asked for, as it is handed to the process that does it: `deploys/OPERATION/request.json`. Written once,
/// before that process starts; who recovers the operation reads it again.
package struct OperationRequest: Hashable, Sendable {
  package var intent: Intent
  package var service: ServiceName
  /// The settings file, absolute.
  package var settings: String
  /// `--ref`; nil: the settings'.
  package var ref: String?
  /// `--from`: a directory or an archive, absolute.
  package var from: String?
  /// `--to-backup`: an archive of `backups/`, or its absolute path.
  package var backup: String?
  /// `--override-window`
  package var overridesWindow = false
  /// `--without-database`: back also where nobody can say whether the database fits.
  package var forgoesDatabase = false
  /// A person has confirmed what the checklist only says in words.
  package var isConfirmed = false
  /// `--wait`
  package var patience: Duration = .zero
  /// The supervisor's control socket, where it is not the usual one.
  package var control: String?

  package init(intent: Intent, service: ServiceName, settings: String) {
    self.intent = intent
    self.service = service
    self.settings = settings
  }

  package var operation: OperationID { intent.operation }

  package static func path(_ layout: Layout, _ id: OperationID) -> String { "\(layout.operation(id))/request.json" }

  /// Far above any request; paths are the longest in it.
  static let sizeLimit = 65_536
}

extension OperationRequest: JSONValue {
  private static let version = 1

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let version: Int = try fields.required("version")
    guard version == Self.version else { throw ShapeError(field: "version", problem: "\(version) is not known here") }
    self.init(
      intent: try fields.required("intent"), service: try fields.required("service"),
      settings: try fields.required("settings"))
    ref = try fields.optional("ref")
    from = try fields.optional("from")
    backup = try fields.optional("backup")
    overridesWindow = try fields.optional("overridesWindow") ?? false
    forgoesDatabase = try fields.optional("withoutDatabase") ?? false
    isConfirmed = try fields.optional("confirmed") ?? false
    patience = try fields.optional("patienceMs") ?? .zero
    control = try fields.optional("control")
    try fields.finish()
  }

  package var json: JSON {
    var members: JSON.Members = [
      "version": Self.version.json, "intent": intent.json, "service": service.json, "settings": .string(settings),
    ]
    members.append("ref", ref)
    members.append("from", from)
    members.append("backup", backup)
    if overridesWindow { members.append("overridesWindow", true) }
    if forgoesDatabase { members.append("withoutDatabase", true) }
    if isConfirmed { members.append("confirmed", true) }
    if patience > .zero { members.append("patienceMs", patience) }
    members.append("control", control)
    return .object(members)
  }
}

extension OperationRequest {
  /// Makes the operation's directory with the request in it, on the disk when this returns.
  /// A full disk does not stop a rollback: see ``RoomToReturn``.
  package func write(_ layout: Layout, effects: Effects) throws(StepFailure) {
    do throws(SystemError) {
      do throws(SystemError) { try put(layout, effects) } catch {
        guard error.errno == ENOSPC, intent.kind == .rollback, RoomToReturn.give(layout, effects: effects) else {
          throw error
        }
        try put(layout, effects)
      }
      if intent.kind == .deploy { RoomToReturn.keep(layout, effects: effects) }
    } catch {
      let user = Users.name(of: geteuid()) ?? "\(geteuid())"
      let remedy =
        access(layout.deploys, F_OK) == 0 ? "chown -R \(user) \(layout.deploys)" : "chown \(user) \(layout.directory)"
      throw StepFailure(.refused, error, next: error.errno == EACCES ? "as root: \(remedy)" : nil)
    }
  }

  private func put(_ layout: Layout, _ effects: Effects) throws(SystemError) {
    let directory = layout.operation(operation)
    let path = Self.path(layout, operation)
    for folder in [layout.deploys, directory] where access(folder, F_OK) != 0 {
      try effects.perform(.makeDirectory, folder) { () throws(SystemError) in
        if mkdir(folder, 0o750) != 0, errno != EEXIST { throw SystemError("make", folder, errno: errno) }
      }
    }
    try effects.perform(.write, path) { () throws(SystemError) in
      let bytes = Array((json.text + "\n").utf8)
      let file = try Descriptor.open("\(path).tmp", flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o640)
      let count = try retrying("write", path) { Glibc.write(file.raw, bytes, bytes.count) }
      guard count == bytes.count else { throw SystemError("write", path, errno: ENOSPC) }
      try retrying("write", path) { fsync(file.raw) }
      try retrying("rename", path) { rename("\(path).tmp", path) }
      try syncDirectory(directory)
      try syncDirectory(layout.deploys)
    }
  }

  /// What was asked for, if it is what the deploy user wrote: a regular file of its own or of root, that nobody else may
  /// change, and not a member too many.
  package static func read(_ layout: Layout, _ id: OperationID) throws(StepFailure) -> OperationRequest {
    let path = path(layout, id)
    func refusal(_ reason: String) -> StepFailure {
      StepFailure(
        .refused, "the request \(path) is not taken: \(reason)", next: "ask again: baton deploy writes a new one")
    }
    let bytes: [UInt8]
    do throws(SystemError) {
      let file = try Descriptor.open(path, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      var status = stat()
      try retrying("look at", path) { fstat(file.raw, &status) }
      guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError("read", path, errno: EINVAL) }
      guard status.st_uid == geteuid() || status.st_uid == 0, status.st_mode & 0o022 == 0 else {
        throw SystemError("trust", path, errno: EPERM)
      }
      bytes = try readAll(file, path, limit: sizeLimit)
    } catch {
      throw refusal("\(error)")
    }
    let request: OperationRequest
    do {
      request = try OperationRequest(json: try JSON(text: bytes, limits: .call))
    } catch { throw refusal("\(error)") }
    if let reason = request.oddity(id) { throw refusal(reason) }
    return request
  }

  private func oddity(_ id: OperationID) -> String? {
    if operation != id { return "it is of operation \(operation)" }
    for path in [settings, from, control].compactMap({ $0 }) where !path.hasPrefix("/") || path.utf8.contains(0) {
      return "\"\(path)\" is not absolute"
    }
    for word in [ref, backup].compactMap({ $0 }) where word.isEmpty || word.hasPrefix("-") || word.utf8.contains(0) {
      return "\"\(word)\" is no name"
    }
    return nil
  }

  /// Requests nobody has taken up, in the order of their names.
  package static func waiting(_ layout: Layout) -> [OperationID] {
    let names = (try? directoryEntries(layout.deploys)) ?? []
    return names.filter { !$0.hasPrefix(".") }.sorted().map { OperationID($0) }.filter { id in
      // Who takes one up says so before anything else, also that it is refused.
      access(path(layout, id), F_OK) == 0 && access(OperationNewsLog.path(layout, id), F_OK) != 0
    }
  }

  /// Takes a request back that nobody has taken up.
  package static func withdraw(_ layout: Layout, _ id: OperationID) {
    guard access(OperationNewsLog.path(layout, id), F_OK) != 0 else { return }
    for name in ["request.json", "source"] { _ = unlink("\(layout.operation(id))/\(name)") }
    _ = rmdir(layout.operation(id))
  }
}

extension OperationID {
  /// `20261121T084512Z-3f9a`: the time is for people; what makes it unique is random.
  package static func new() -> OperationID {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func padded(_ value: Int32, _ digits: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
    let date = padded(parts.tm_year + 1_900, 4) + padded(parts.tm_mon + 1, 2) + padded(parts.tm_mday, 2)
    let clock = padded(parts.tm_hour, 2) + padded(parts.tm_min, 2) + padded(parts.tm_sec, 2)
    let random = String(UInt16.random(in: 0...UInt16.max), radix: 16)
    return OperationID("\(date)T\(clock)Z-" + String(repeating: "0", count: 4 - random.utf8.count) + random)
  }
}
