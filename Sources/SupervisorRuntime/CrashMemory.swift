import JSON
package import Leases
package import LinuxSystem
package import Supervision
package import Vocabulary

/// Where a life of the supervisor leaves what the next one must know if this one is killed: memory that systemd keeps.
package final class CrashMemory {
  /// Its name in systemd's store; no socket has it, those have a number behind a dot.
  package static let storeName = "baton-state"

  /// What an earlier life left that did not come to an orderly end, or why that cannot be used.
  package enum Left: Hashable, Sendable {
    case nothing
    case record(CrashRecord)
    case unusable(String)
  }

  private let memory: SlottedMemory
  private let manager: ManagerLink
  private let service: ServiceName
  private let version: String
  private var last: CrashRecord.Facts?
  private var encoded: (id: GenerationID, json: JSON)?
  /// Said once: the service runs all the same.
  package var report: (Happening) -> Void = { _ in }
  /// Whether systemd has it. What cannot be written is taken back, or a crash would go on from an older record.
  private var isKept = true

  /// `left`: what systemd passed, or the image of this program before; else a new one is made and given to systemd.
  package init(left: Descriptor?, manager: ManagerLink, service: ServiceName, version: String) throws(SystemError) {
    self.manager = manager
    self.service = service
    self.version = version
    if let left {
      memory = SlottedMemory(adopting: left)
    } else {
      memory = try SlottedMemory(name: Self.storeName)
      manager.store(memory.file, name: Self.storeName)
    }
  }

  /// For the next image of this program; nil where there is nothing in it to go on from.
  var descriptor: Int32? { isKept ? memory.file.raw : nil }

  /// What lies in what systemd passed.
  package static func read(_ passed: Descriptor?, of service: ServiceName) -> Left {
    guard let passed else { return .nothing }
    guard let bytes = SlottedMemory(adopting: passed).newest else {
      return .unusable("nothing whole lies in it")
    }
    do throws(StateError) {
      let record = try CrashRecord(bytes: bytes)
      guard record.service == service else { return .unusable("it is of service \(record.service)") }
      return .record(record)
    } catch { return .unusable(error.description) }
  }

  /// Writes what `core` has decided, where that is another than before. To be called before anything of it is done.
  /// `carried` is pinned as long as nothing serves.
  package func keep(
    _ core: Supervisor, carried: ResolvedGeneration? = nil, leaseOwner: String? = nil, leaseWaits: [Wait] = [],
    cuts: Cuts = Cuts(), _ resolved: (GenerationID) -> ResolvedGeneration?
  ) {
    var facts = CrashRecord.Facts(of: core)
    facts.pinned = facts.pinned ?? carried?.id
    if core.isStopping, carried != nil { facts.isRefused = true }
    facts.leaseOwner = leaseOwner
    facts.leaseWaits = leaseWaits
    facts.cuts = cuts
    guard facts != last else { return }
    last = facts
    if encoded?.id != facts.pinned {
      encoded = facts.pinned.flatMap { id in
        (id == carried?.id ? carried : resolved(id)).map { (id, ResolvedState($0).json) }
      }
    }
    let record = CrashRecord(writer: version, service: service, facts: facts, resolved: nil)
    KillPoint.reach("before record \(facts.step ?? "-")")
    defer { KillPoint.reach("after record \(facts.step ?? "-")") }
    do throws(SystemError) {
      try memory.write(record.bytes(generation: encoded?.json))
      guard !isKept else { return }
      isKept = true
      manager.store(memory.file, name: Self.storeName)
    } catch {
      // Tried again at the next decision.
      last = nil
      guard isKept else { return }
      isKept = false
      manager.removeFromStore(name: Self.storeName)
      report(
        Happening(
          .crashMemoryTrouble,
          "what a crash must leave cannot be written: \(error); after a crash the settings are read anew"))
    }
  }

  /// A stop for good: there is nothing to come back to.
  func forget() { manager.removeFromStore(name: Self.storeName) }
}
