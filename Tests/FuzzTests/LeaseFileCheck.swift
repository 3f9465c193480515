import Glibc
import Leases
import LinuxSystem
import Vocabulary

@testable import LeaseStores

extension Checks {
  /// The file of leases between the services of a host, as another program or a broken disk may have left it. What can be
  /// opened answers every request, or says why not, and a lease that was granted is there.
  static func leases(_ bytes: [UInt8], _: inout Mutator) throws {
    let memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    let path = "\(memory)/baton-fuzz-leases-\(getpid())"
    let files = ["", "-wal", "-shm", "-journal"].map { path + $0 }
    defer { for file in files { unlink(file) } }
    for file in files { unlink(file) }
    guard let file = fopen(path, "w") else { throw Finding("\(path) cannot be written") }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
    let name = try LeaseName("robots")
    let claimant = Claimant(owner: OwnerID("00000000000000aa"), label: "fuzz", timeToLive: .seconds(9))
    do throws(StoreError) {
      let store = try LocalLeaseStore(path: path, claimant: claimant, boot: "boot")
      let granted = try store.ask(ExchangeID(1), .acquire(name, above: LeaseToken(7)))
      if case .granted(let token) = granted {
        let beaten = try store.ask(ExchangeID(2), .beat([name: token]))
        guard case .beaten(let renewals) = beaten, renewals[name] == .renewed else { return }
        guard try store.records().contains(where: { $0.name == name }) else { return }
      }
      _ = try store.ask(ExchangeID(.max), .release(name))
      _ = try store.free(name)
      _ = try store.forget(name)
      _ = try store.ask(ExchangeID(.max), .unregister)
    } catch {
      if error.description.isEmpty { throw Finding("refused without a reason") }
    }
  }
}
