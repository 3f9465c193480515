import Databases
import Deployment
import Testing

@testable import DeploymentRuntime

@Suite struct DatabaseAddressTests {
  @Test(arguments: [
    ("postgres://app:s3cret@db.example:5433/shop?sslmode=require", "postgres://app@db.example:5433/shop"),
    ("postgresql://app@/shop?host=/run/pg&password=s3cret", "postgres://app@/shop"),
    ("postgresql+psycopg2://app:a%40s3cret@h/d", "postgres://app@h/d"),
    ("POSTGRES://h/d", "postgres://h/d"),
    ("postgres://u:p@ss:s3cret@h/d", "postgres://u@h/d"),
    ("postgres://u:s3cret@[::1]:5432,other/d#x", "postgres://u@[::1]:5432,other/d"),
    ("sqlite:///var/lib/app/my%20app.db?mode=rw", "/var/lib/app/my app.db"),
    ("sqlite:////var/lib/app.db", "/var/lib/app.db"),
  ]) func whatIsShownHoldsNoSecret(text: String, shown: String) throws {
    let address = try DatabaseAddress(text)
    #expect(address.description == shown)
    #expect(!address.description.contains("s3cret"))
  }

  @Test func whatALibrarySaysIsScrubbed() throws {
    let address = try DatabaseAddress("postgres://u:a%2Fs3cret@h/d?sslpassword=other1")
    #expect(
      address.scrub("no a%2Fs3cret, no a/s3cret, no other1: password of u") == "no ***, no ***, no ***: password of u")
  }

  @Test(arguments: ["", "shop", "mysql://u:s3cret@h/d", "sqlite://relative.db", "sqlite:///a%00b", "://x"])
  func whatIsNoneIsRefusedWithoutRepeatingIt(text: String) {
    let failure = #expect(throws: StepFailure.self) { try DatabaseAddress(text) }
    #expect(failure?.kind == .refused && failure?.what.contains("s3cret") == false)
  }

  @Test func thePasswordOfASecretURLIsASecretToo() {
    let secrets = Secrets(["DATABASE_URL": "postgres://app:a%2Fs3cret@h/d"])
    #expect(secrets.masker.mask("password a/s3cret, or a%2Fs3cret") == "password ***, or ***")
  }
}
