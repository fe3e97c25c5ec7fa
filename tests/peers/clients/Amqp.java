// RabbitMQ's client in Java: the same as amqp.js. Prints what it counted.
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DeliverCallback;
import java.util.concurrent.CountDownLatch;

public class Amqp {
    public static void main(String[] arguments) throws Exception {
        var factory = new ConnectionFactory();
        factory.setHost("127.0.0.1");
        factory.setPort(Integer.parseInt(arguments[0]));
        try (var connection = factory.newConnection()) {
            var channel = connection.createChannel();
            channel.queueDeclare("java", false, false, false, null);
            for (int number = 0; number < 100; number++) {
                channel.basicPublish("", "java", null, new byte[number * 3]);
            }
            var confirming = connection.createChannel();
            confirming.confirmSelect();
            for (int number = 0; number < 50; number++) {
                confirming.basicPublish("", "java", null, "hunter2".getBytes());
            }
            confirming.waitForConfirmsOrDie(30_000);
            var received = new CountDownLatch(150);
            channel.basicQos(7);
            DeliverCallback deliver = (tag, message) -> {
                channel.basicAck(message.getEnvelope().getDeliveryTag(), false);
                received.countDown();
            };
            channel.basicConsume("java", false, deliver, tag -> {});
            received.await();
            channel.close();
        }
        System.out.println("basic.publish 150\nbasic.deliver 150\nqueue.declare 1");
    }
}
