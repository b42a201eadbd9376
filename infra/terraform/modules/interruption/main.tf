# Karpenter's five rules; aws-node-termination-handler reads the same events. EKS drains nodes of its managed groups by
# itself when Spot takes them back; the queue is for whoever also wants health and reservation events acted on, and for
# Karpenter.
locals {
  events = {
    spot        = { source = "aws.ec2", type = "EC2 Spot Instance Interruption Warning" }
    rebalance   = { source = "aws.ec2", type = "EC2 Instance Rebalance Recommendation" }
    state       = { source = "aws.ec2", type = "EC2 Instance State-change Notification" }
    reservation = { source = "aws.ec2", type = "EC2 Capacity Reservation Instance Interruption Warning" }
    health      = { source = "aws.health", type = "AWS Health Event" }
  }
}

resource "aws_sqs_queue" "this" {
  name = "${var.name}-interruption"
  # A warning that is older than five minutes is about an instance that is gone.
  message_retention_seconds = 300
  # EventBridge may write to a queue with the queue's own key without a policy on ours.
  sqs_managed_sse_enabled = true
}

resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheRulesOfThisEnvironment"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.this.arn
        Condition = { ArnEquals = { "aws:SourceArn" = [for name in sort(keys(local.events)) : aws_cloudwatch_event_rule.this[name].arn] } }
      },
      {
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.this.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.events

  name        = "${var.name}-${each.key}"
  description = each.value.type
  event_pattern = jsonencode({
    source        = [each.value.source]
    "detail-type" = [each.value.type]
  })
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.events

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "queue"
  arn       = aws_sqs_queue.this.arn
}
