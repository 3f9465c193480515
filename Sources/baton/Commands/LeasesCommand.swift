import ArgumentParser
import ControlClient
import ControlProtocol
import JSON
import Vocabulary

struct LeasesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leases",
    abstract: "Shows the leases that engines of a service need: who has each, with which token, for how long.",
    discussion: "What another host has is shown as this host heard of it last.")

  @OptionGroup var service: NamedService

  func run() throws {
    let report = try service.choice().ask { (client) throws(ClientError) in try client.status() }
    let leases = report.leases ?? []
    if service.json { return Terminal.print(.object(["leases": .array(leases.map(\.json))])) }
    guard !leases.isEmpty else { return Terminal.print("no engine of \(report.service) needs a lease") }
    var table = Table(rightAligned: [4, 5, 6])
    table.append(["LEASE", "HERE", "HELD BY", "WORKS", "TOKEN", "PROVEN FOR", "SINCE", "ENGINES"].map { ($0, .faint) })
    for lease in leases { table.append(row(lease)) }
    for line in table.lines { Terminal.print(line.text(width: nil, colour: Terminal.usesColour)) }
    for error in Set(leases.compactMap(\.storeError)).sorted() {
      Terminal.say("baton: \(plain(leases[0].store)) could not be asked: \(plain(error))")
    }
  }

  private func row(_ lease: StatusReport.Lease) -> [Table.Cell] {
    let colour: StyledLine.Colour? =
      switch lease.state {
      case .held: lease.works ? .green : .yellow
      case .waiting: nil
      case .ending: .yellow
      }
    let holder = lease.state == .waiting ? lease.holder.map { plain($0) } ?? "nobody known" : "this host"
    let age = Ages.text(.microseconds(max(0, WallTime.now.microseconds - lease.since.microseconds)))
    let token = lease.state == .waiting ? lease.holderToken : lease.token
    return [
      (lease.name.rawValue, .bold), (lease.state.rawValue, colour), (holder, nil),
      (lease.state == .held ? (lease.works ? "yes" : "no") : "-", nil), (token.map { "\($0)" } ?? "-", nil),
      (lease.remaining.map { Ages.text($0) } ?? "-", nil), (age, nil),
      (lease.engines.map(\.rawValue).joined(separator: ", "), nil),
    ]
  }
}
