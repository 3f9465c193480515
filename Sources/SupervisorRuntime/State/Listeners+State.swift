import LinuxSystem
import Supervision
import Vocabulary

extension Listeners {
  /// For another image of this program; nothing is changed here.
  var saved: [SavedListener] {
    entries.sorted { $0.key < $1.key }.map { id, entry in
      SavedListener(
        id: id, socket: entry.socket, address: entry.address, storeName: entry.storeName,
        descriptor: entry.descriptor.raw, isPermanent: entry.isPermanent, privatePath: entry.privatePath,
        isWatched: entry.hangup != nil, isUnsteered: unsteered.contains(id.key))
    }
  }

  /// Goes on with the sockets of another image of this program. The kernel has their order and their rules already, and
  /// systemd its copies.
  func resume(_ listeners: [SavedListener]) throws(SystemError) {
    for saved in listeners {
      entries[saved.id] = Entry(
        descriptor: try Descriptor.inherited(saved.descriptor), socket: saved.socket, address: saved.address,
        storeName: saved.storeName, isPermanent: saved.isPermanent, privatePath: saved.privatePath)
      if saved.isWatched { watchHangup(saved.id) }
      if saved.isUnsteered { unsteered.insert(saved.id.key) }
    }
    isCrowded = Set(entries.keys.map(\.key)).count < entries.count
  }
}
