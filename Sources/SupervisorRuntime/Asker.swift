package import LinuxSystem
import Supervision
package import Vocabulary

/// Who asked for something, as the kernel knows them: numbers, since names may be a matter of a directory service.
package struct Asker: Hashable, Sendable {
  package let text: String
  /// It is an ExecReload= or another command of a unit with a cgroup of its own, which systemd waits for.
  package let isManagersCommand: Bool

  /// `login`: who logged in before they became somebody else, where audit knows. Source: proc(5), loginuid.
  package init(pid: Int32, user: UInt32) {
    var words = ["uid \(user)"]
    if let bytes = try? readFile("/proc/\(pid)/loginuid", limit: 32),
      let login = UInt32(String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)), login != .max, login != user
    {
      words.append("logged in as uid \(login)")
    }
    let command = ProcessTree.command(of: pid)
    words.append("pid \(pid)" + (command == "?" ? "" : " \(command)"))
    text = words.joined(separator: ", ")
    // systemd puts a delegated unit's control processes there. Source: systemd.resource-control(5), Delegate=.
    let cgroups =
      (try? readFile("/proc/\(pid)/cgroup", limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    isManagersCommand = cgroups.split(separator: "\n").contains { $0.hasSuffix("/.control") }
  }
}

extension Runtime {
  /// Before what is asked for begins.
  func tell(_ operation: OperationID?, _ what: String, by asker: Asker?) {
    guard let asker else { return }
    var happening = Happening(.asked, "\(what) asked for by \(asker.text)")
    happening.operation = operation
    happening.reason = asker.text
    history.add(happening)
  }

  /// To the main process of each worker of the engine that serves, or of the one with that label; whom it reached.
  package func signal(_ signal: Signal, _ engine: EngineName, label: String?, by asker: Asker?) -> [WorkerID] {
    let all = core.serving.flatMap { core.generations[$0]?.engine(engine)?.workers } ?? []
    let reached = all.map(\.id).filter { (label == nil || $0.label == label) && workers.isRunning($0) }
    guard !reached.isEmpty else { return [] }
    for id in reached {
      var happening = Happening(
        .workerSignalled, "\(id.label) gets \(signal)" + (asker.map { ", asked for by \($0.text)" } ?? ""))
      happening.engine = engine
      happening.worker = id
      happening.generation = id.generation
      happening.pid = workers.pid(of: id)
      happening.reason = asker?.text
      history.add(happening)
      workers.signal(id, signal, isAsked: true)
    }
    return reached
  }
}
