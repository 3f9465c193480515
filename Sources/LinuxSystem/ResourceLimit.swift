import CLinux
import Glibc

/// One limit of setrlimit(2), soft and hard; ``unlimited`` is RLIM_INFINITY.
package struct ResourceLimit: Hashable, Sendable, CustomStringConvertible {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case addressSpace = "as"
    case core, cpu, data
    case fileSize = "fsize"
    case locks
    case lockedMemory = "memlock"
    case messageQueues = "msgqueue"
    case nice
    case openFiles = "nofile"
    case processes = "nproc"
    case residentSet = "rss"
    case realtimePriority = "rtprio"
    case realtimeTime = "rttime"
    case pendingSignals = "sigpending"
    case stack

    /// As in asm-generic/resource.h, which both supported machines use.
    var number: Int32 {
      switch self {
      case .cpu: 0
      case .fileSize: 1
      case .data: 2
      case .stack: 3
      case .core: 4
      case .residentSet: 5
      case .processes: 6
      case .openFiles: 7
      case .lockedMemory: 8
      case .addressSpace: 9
      case .locks: 10
      case .pendingSignals: 11
      case .messageQueues: 12
      case .nice: 13
      case .realtimePriority: 14
      case .realtimeTime: 15
      }
    }
  }

  package static let unlimited = UInt64.max

  package var kind: Kind
  package var soft: UInt64
  package var hard: UInt64

  package init(_ kind: Kind, soft: UInt64, hard: UInt64) {
    self.kind = kind
    self.soft = soft
    self.hard = hard
  }

  package var description: String {
    func text(_ value: UInt64) -> String { value == Self.unlimited ? "unlimited" : "\(value)" }
    return "\(kind.rawValue)=\(text(soft)):\(text(hard))"
  }
}
