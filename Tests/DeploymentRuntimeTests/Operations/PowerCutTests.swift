import Deployment
import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// A power cut: of what was not synced any part may be missing. Every change of a name is kept in mind until the
/// directory it is in is synced; at each instant every choice of what is lost is laid out on a disk, and recovered from.
///
/// What is in a file counts as synced: each writing effect ends with fsync. Source: fsync(2), and ALICE (OSDI 2014).
@Suite struct PowerCutTests {
  @Test func everyLegalStateIsRecoveredFrom() throws {
    for failing in [nil, Step.healthCheck] {
      let states = try states(failing: failing)
      var finished = 0
      for (number, state) in states.enumerated() {
        let service = try FakeService(hasOld: false)
        state.lay(out: service.fixture.scratch)
        // The host comes up again, and with it what `current` names.
        #expect(currentRelease(service.layout).map { service.isWhole($0) } ?? false, "\(number): \(state.about)")
        _ = try service.recover(.boot)
        service.fixture.scratch.write("app/unit", currentRelease(service.layout)?.text ?? "")
        _ = try service.recover(.bake)
        // A removal that was lost leaves something under a name that the next sweep knows.
        let complaints = service.complaints(nil).filter { !$0.hasPrefix("left over") }
        #expect(complaints.isEmpty, "\(number): \(state.about): \(complaints)")
        let isNew = currentRelease(service.layout) == FakeService.new
        if isNew { finished += 1 }
        let good = DeployHistory.read(service.layout).operations.first?.outcome == .good
        #expect(good == isNew, "\(number): \(state.about): the records do not say what is so")
      }
      print("power cut: \(states.count) states, \(finished) finished")
      #expect(states.count > 30)
    }
  }

  private func states(failing: Step?) throws -> [Disk.Cut] {
    let service = try FakeService()
    let id = OperationID("op-1")
    let effects = Effects(.act, faults: nil)
    var disk = Disk(service.fixture.scratch)
    effects.observer = { disk.saw($0, service.fixture.scratch) }
    let outcome = Executor(service.assembly(id, effects: effects, failing: failing)).run(
      Intent(operation: id, kind: .deploy))
    #expect(outcome.outcome == (failing == nil ? .good : .failed))
    return disk.cuts
  }
}

/// Names and what they name, as the kernel has them and as the disk may have them.
struct Disk {
  enum Node: Hashable {
    case directory
    case file(String)
    case link(String)
  }

  /// What one effect did to names: on the disk as a whole or not at all.
  private struct Change {
    let effect: Effect
    let before: [String: Node]
    let after: [String: Node]
    /// Directories that are still to be synced.
    var unsynced: Set<String>
    var paths: Set<String> { Set(before.keys).union(after.keys) }
  }

  struct Cut {
    let about: String
    let nodes: [String: Node]

    func lay(out scratch: Scratch) {
      for name in scratch.names(in: "app") { Scratch.remove(scratch.path("app/\(name)")) }
      for path in nodes.keys.sorted() {
        switch nodes[path] {
        case .directory: scratch.make(path)
        case .file(let text): scratch.write(path, text)
        case .link(let target):
          // Absolute ones are of the other place.
          symlink(target, scratch.path(path))
        case nil: break
        }
      }
    }
  }

  private var nodes: [String: Node]
  private var pending: [Change] = []
  private(set) var cuts: [Cut] = []
  private var seen: Set<[String: Node]> = []

  init(_ scratch: Scratch) { nodes = Self.look(scratch) }

  mutating func saw(_ effect: Effect, _ scratch: Scratch) {
    let now = Self.look(scratch)
    var before: [String: Node] = [:]
    var after: [String: Node] = [:]
    for path in Set(nodes.keys).union(now.keys) where nodes[path] != now[path] {
      // New bytes in a file of the same name were synced by the effect that wrote them, wherever it was since.
      if case .file? = nodes[path], case .file? = now[path], effect.kind != .rename, effect.kind != .exchange {
        continue
      }
      before[path] = nodes[path]
      after[path] = now[path]
    }
    nodes = now
    if effect.kind == .sync {
      let directory = String(effect.subject.dropFirst(scratch.directory.utf8.count + 1))
      for index in pending.indices { pending[index].unsynced.remove(directory) }
      pending.removeAll { $0.unsynced.isEmpty }
    } else if !before.isEmpty || !after.isEmpty {
      // What is below a directory that was renamed goes with it.
      let paths = Set(before.keys).union(after.keys)
      let parents = Set(paths.map { parentDirectory(of: $0) }.filter { !paths.contains($0) })
      pending.append(Change(effect: effect, before: before, after: after, unsynced: parents))
    }
    cut(after: effect)
  }

  /// Every choice of pending changes that are lost. One that others stand on takes them with it.
  private mutating func cut(after effect: Effect) {
    let count = min(pending.count, 8)
    for choice in 0..<(1 << count) {
      var lost: [Int] = []
      var paths: Set<String> = []
      for index in pending.indices {
        let isChosen = index < count && choice & (1 << index) != 0
        let stands = pending[index].paths.contains { path in
          paths.contains { path == $0 || path.hasPrefix($0 + "/") }
        }
        guard isChosen || stands else { continue }
        lost.append(index)
        paths.formUnion(pending[index].paths)
      }
      var state = nodes
      for index in lost.reversed() {
        for path in pending[index].after.keys { state[path] = nil }
        state.merge(pending[index].before) { $1 }
      }
      guard seen.insert(state).inserted else { continue }
      let names = lost.map { "\(pending[$0].effect.kind) \(pending[$0].effect.subject)" }
      cuts.append(Cut(about: "after \(effect.kind) \(effect.subject), without \(names)", nodes: state))
    }
  }

  /// All but what SQLite looks after, the kernel's lock, and the unit, which is no file in truth.
  private static func look(_ scratch: Scratch) -> [String: Node] {
    var all: [String: Node] = [:]
    func walk(_ path: String) {
      for name in scratch.names(in: path) where !name.hasPrefix("ledger.db") && name != "lock" && name != "unit" {
        let inner = "\(path)/\(name)"
        var status = stat()
        guard lstat(scratch.path(inner), &status) == 0 else { continue }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
          all[inner] = .directory
          walk(inner)
        case S_IFLNK:
          var buffer = [CChar](repeating: 0, count: 4_096)
          let count = readlink(scratch.path(inner), &buffer, buffer.count - 1)
          all[inner] = .link(
            String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self))
        default: all[inner] = .file(scratch.read(inner) ?? "")
        }
      }
    }
    walk("app")
    return all
  }
}
