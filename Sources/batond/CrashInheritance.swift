import LinuxSystem
import SupervisorRuntime
import Systemd
import Vocabulary

/// What systemd passed at the start, with what an earlier life left in it that ended without notice.
struct CrashInheritance {
  let passed: [ListenDescriptors.Passed]
  let memory: Descriptor?
  let left: CrashMemory.Left

  /// To be called once, before anything is opened.
  static func take(of service: ServiceName) throws(SystemdError) -> CrashInheritance {
    let passed = try ListenDescriptors.fromEnvironment().all
    let memory = passed.first { $0.name == CrashMemory.storeName }.map { Descriptor(owning: $0.descriptor) }
    return CrashInheritance(passed: passed, memory: memory, left: CrashMemory.read(memory, of: service))
  }

  /// What served is known, so that the settings need not be read.
  var hasGeneration: Bool {
    if case .record(let record) = left { return record.resolved != nil }
    return false
  }
}
