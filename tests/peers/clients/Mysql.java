// MariaDB Connector/J: statements, server-side prepared statements, a batch, errors.
import java.sql.DriverManager;
import java.sql.SQLException;

public class Mysql {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:mariadb://127.0.0.1:" + arguments[0] + "/?user=root&useServerPrepStmts=true";
        try (var connection = DriverManager.getConnection(url); var plain = connection.createStatement()) {
            plain.execute("CREATE DATABASE java");
            connection.setCatalog("java");
            plain.execute("CREATE TABLE t (a INT, b TEXT)");
            try (var insert = connection.prepareStatement("INSERT INTO t VALUES (?, ?)")) {
                for (int number = 0; number < 20; number++) {
                    insert.setInt(1, number);
                    insert.setString(2, "hunter2");
                    insert.execute();
                }
            }
            try (var select = connection.prepareStatement("SELECT b FROM t WHERE a = ?")) {
                for (int number = 0; number < 20; number++) {
                    select.setInt(1, number);
                    select.executeQuery().next();
                }
            }
            for (String wrong : new String[] {"SELECT nothing FROM nowhere", "SELEC 1"}) {
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
