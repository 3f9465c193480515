import Settings
package import Vocabulary

/// A life of the supervisor that ended without notice, whose workers were ended by others before the next one looked.
package struct UncountedEnd: Sendable {
  package let generation: GenerationID
  /// Where it answered.
  package let addresses: [SocketAddress]
  package let workers: Int

  /// nil where nobody could have been connected.
  init?(_ record: CrashRecord, _ resolved: ResolvedGeneration) {
    addresses = resolved.settings.sockets.map(\.address).filter { if case .udp = $0 { false } else { true } }
    workers = record.facts.workers.count
    generation = resolved.id
    if addresses.isEmpty || workers == 0 { return nil }
  }
}

package enum EndedConnections: Hashable, Sendable {
  /// The kernel remembers those that ended with nothing unread, for a minute.
  case about(Int)
  case unknown(String)
}
