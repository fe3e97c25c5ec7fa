use super::*;

/// The name that a command line leads to. Blanks separate arguments, the first is the executable.
fn named(command: &str) -> CompactString {
    let executable = command.split(' ').next().unwrap();
    let arguments = format!("{}\0", command.replace(' ', "\0"));
    let comm = file_name(executable.as_bytes());
    let program =
        Program { comm, executable: executable.as_bytes(), arguments: arguments.as_bytes() };
    program.name()
}

fn check(rows: &[(&str, &str)]) {
    for (command, name) in rows {
        assert_eq!(named(command), *name, "{command}");
    }
}

#[test]
fn python_by_script_module_or_application() {
    check(&[
        ("/usr/bin/python3.12 /srv/shop/worker.py --token secret", "worker.py"),
        ("/usr/bin/python3 -u -X dev -W error worker.py", "worker.py"),
        ("/usr/bin/python3 /srv/app/main.py", "app/main.py"),
        ("/usr/bin/python3 /srv/shop/src/main.py", "shop/main.py"),
        ("/usr/bin/python3 main.py", "main.py"),
        ("/usr/bin/python3 ./manage.py runserver", "manage.py"),
        ("/usr/bin/python3 -m http.server 8000", "http.server"),
        ("/usr/bin/python3 -um http.server", "http.server"),
        ("/usr/bin/python3 -mhttp.server", "http.server"),
        ("/usr/bin/python3 -c print('secret')", "python3"),
        ("/usr/bin/python3 -Ic print('secret')", "python3"),
        ("/usr/bin/python3 -", "python3"),
        ("/usr/bin/python3", "python3"),
        (
            "/usr/bin/python3 /usr/bin/gunicorn -w 4 -b 0.0.0.0:80 shop.wsgi:application",
            "gunicorn shop.wsgi",
        ),
        ("/usr/bin/python3 -m uvicorn main:app --port 80", "uvicorn main"),
        ("/usr/bin/python3 /usr/bin/gunicorn --password hunter2.x", "gunicorn"),
        ("/usr/bin/python3 /usr/bin/gunicorn --daemon shop.wsgi", "gunicorn"),
        ("/usr/bin/python3 /usr/bin/celery -A shop.tasks worker", "celery shop.tasks"),
        ("/usr/bin/python3 /usr/bin/flask --app=shop:create('x') run", "flask shop"),
        ("/usr/bin/python3 /usr/bin/flask run", "flask"),
        ("/usr/bin/pypy3 worker.py", "worker.py"),
    ]);
}

#[test]
fn javascript_by_script() {
    check(&[
        ("/usr/bin/node server.js", "server.js"),
        (
            "/usr/bin/node --inspect --max-old-space-size=512 -r dotenv/config /srv/shop/dist/main.js",
            "shop/main.js",
        ),
        ("/usr/bin/nodejs --require ./a.js --import tsx worker.mjs secret", "worker.mjs"),
        ("/usr/bin/node /app/node_modules/.bin/next start", "next"),
        ("/usr/bin/node -e secret()", "node"),
        ("/usr/bin/node --eval=secret()", "node"),
        ("/usr/bin/node", "node"),
        ("/usr/bin/deno run --allow-net --config x.json api.ts", "api.ts"),
        ("/usr/bin/deno run https://user:pw@example.com/shop/main.ts?key=1", "shop/main.ts"),
        ("/usr/bin/deno run https://user:pw@example.ts", "deno"),
        ("/usr/bin/deno serve -r -L debug --port 80 api.ts", "api.ts"),
        ("/usr/bin/deno eval secret.js", "deno"),
        ("/usr/bin/deno repl", "deno"),
        ("/usr/bin/bun --watch run src/index.tsx", "index.tsx"),
        ("/usr/bin/bun run start", "bun"),
    ]);
}

#[test]
fn java_by_jar_or_class() {
    check(&[
        (
            "/usr/lib/jvm/17/bin/java -Xmx1g -Dpassword=secret -jar /x/shop-1.2.jar --key=1",
            "shop-1.2.jar",
        ),
        ("/usr/bin/java -jar /srv/shop/app.jar", "shop/app.jar"),
        (
            "/usr/bin/java -cp a.jar:b.jar -XX:+UseG1GC com.acme.shop.Main secret",
            "com.acme.shop.Main",
        ),
        (
            "/usr/bin/java --add-opens java.base/x=ALL-UNNAMED @args kafka.Kafka s.properties",
            "kafka.Kafka",
        ),
        ("/usr/bin/java -p mods -m shop/com.acme.Main", "com.acme.Main"),
        ("/usr/bin/java --module=shop", "shop"),
        ("/usr/bin/java Tool.java", "Tool.java"),
        ("/usr/bin/java -version", "java"),
        ("/usr/bin/java @args", "java"),
        ("/usr/bin/java -cp", "java"),
        ("/usr/bin/java -jar  x", "java"),
        ("/usr/bin/java not/a:class", "java"),
    ]);
}

#[test]
fn others() {
    check(&[
        ("/usr/bin/ruby3.2 -I lib -rjson bin/rails server", "rails"),
        ("/usr/bin/ruby -W0 worker.rb", "worker.rb"),
        ("/usr/bin/ruby -e secret", "ruby"),
        ("/usr/bin/perl -w -I lib -MJSON server.pl", "server.pl"),
        ("/usr/bin/perl -ne secret file", "perl"),
        ("/usr/bin/php8.2 -d a=b -S 0.0.0.0:80 -t public router.php", "router.php"),
        ("/usr/bin/php artisan serve", "artisan"),
        ("/usr/bin/php -f cron.php", "cron.php"),
        ("/usr/bin/php -r secret", "php"),
        ("/bin/bash -eu -o pipefail /srv/backup.sh key", "backup.sh"),
        ("/bin/bash --rcfile x y.sh", "y.sh"),
        ("/bin/sh -ec secret", "sh"),
        ("/bin/bash /dev/fd/63", "bash"),
        ("/bin/bash -- /proc/self/fd/3", "bash"),
        ("/bin/bash -- deploy.sh", "deploy.sh"),
        ("/usr/bin/dash", "dash"),
        ("/usr/bin/dotnet /srv/shop/Shop.Api.dll --urls http://+:80", "Shop.Api.dll"),
        ("/usr/bin/dotnet exec --depsfile x.dll Shop.dll", "Shop.dll"),
        ("/usr/bin/dotnet run secret.dll", "dotnet"),
        (
            "/usr/lib/erlang/erts-14/bin/beam.smp -W w -- -root /x -setcookie secret -s rabbit boot",
            "rabbit",
        ),
        (
            "/usr/lib/erlang/erts-14/bin/beam.smp -- -s elixir start_cli -setcookie secret",
            "beam.smp",
        ),
    ]);
}

#[test]
fn titles_give_their_first_word_and_an_application() {
    for (executable, title, name) in [
        ("/usr/bin/python3.12", "gunicorn: worker [shop.wsgi]", "gunicorn shop.wsgi"),
        (
            "/usr/bin/python3.12",
            "[celeryd: a@host:MainProcess] -active- (worker -A shop)",
            "celeryd",
        ),
        ("/usr/bin/ruby3.2", "puma 6.4.0 (tcp://0.0.0.0:3000) [shop]", "puma shop"),
        ("/usr/bin/ruby3.2", "sidekiq 7.1 shop [0 of 5 busy]", "sidekiq"),
        ("/usr/bin/node", "npm start", "npm"),
        ("/usr/sbin/php-fpm8.2", "php-fpm: pool www", "php-fpm: pool www"),
        ("/usr/sbin/php-fpm8.2", "php-fpm: master process (/etc/php.conf)", "php-fpm8.2"),
        ("/usr/bin/bash", "-bash", "bash"),
    ] {
        let arguments = format!("{title}\0\0\0\0");
        let program = Program {
            comm: b"other",
            executable: executable.as_bytes(),
            arguments: arguments.as_bytes(),
        };
        assert_eq!(program.name(), name, "{title}");
    }
}

#[test]
fn without_the_executable_the_first_argument_tells_the_interpreter() {
    let program = Program {
        comm: b"worker.py",
        executable: b"",
        arguments: b"/usr/bin/python3\0worker.py\0",
    };
    assert_eq!(program.name(), "worker.py");
}

proptest::proptest! {
    #[test]
    fn any_arguments_are_taken(
        language in "python3|node|deno|bun|java|ruby|perl|php|php-fpm|bash|dotnet|beam.smp",
        arguments in r"(-|--|-[a-zA-Z0-9]{0,4}|--app|-jar|://|/|\.|=|\[|\]|[a-z.: ]{0,5}|\x00){0,12}",
    ) {
        let arguments = format!("{language}\0{arguments}");
        let program =
            Program { comm: b"", executable: language.as_bytes(), arguments: arguments.as_bytes() };
        assert!(!program.name().is_empty());
    }
}
