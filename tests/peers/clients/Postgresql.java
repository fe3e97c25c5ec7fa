// pgjdbc: statements, prepared statements until they are named, a batch, a fetch size, errors.
import java.sql.DriverManager;
import java.sql.SQLException;

public class Postgresql {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/postgres?user=postgres";
        try (var connection = DriverManager.getConnection(url); var plain = connection.createStatement()) {
            plain.execute("CREATE TABLE java (a int, b text)");
            connection.setAutoCommit(false);
            try (var insert = connection.prepareStatement("INSERT INTO java VALUES (?, ?)")) {
                for (int number = 0; number < 50; number++) {
                    insert.setInt(1, number);
                    insert.setString(2, "hunter2");
                    insert.addBatch();
                }
                insert.executeBatch();
            }
            connection.commit();
            try (var select = connection.prepareStatement("SELECT b FROM java WHERE a = ?")) {
                for (int number = 0; number < 12; number++) {
                    select.setInt(1, number);
                    select.executeQuery().next();
                }
            }
            connection.commit();
            connection.setAutoCommit(true);
            for (String wrong : new String[] {"SELECT nothing FROM nowhere", "SELECT 1/0"}) {
                try {
                    plain.execute(wrong);
                } catch (SQLException expected) {
                    continue;
                }
                throw new AssertionError("went well: " + wrong);
            }
        }
    }
}
